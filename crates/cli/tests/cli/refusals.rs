//! What cannot be used is refused before anything is written: one sentence that names place and remedy, and the right code.

use crate::support::{Frames, Lab, MENU, MODEL_MENU, sample};

fn lab() -> Lab {
    let lab = Lab::new();
    let mut frames = Frames::new();
    frames.push(0, &[1.0, 200.0]);
    lab.write("in.tmf", frames.bytes);
    lab
}

#[track_caller]
fn refused(lab: &Lab, line: &str, code: i32, words: &[&str]) {
    let ran = lab.tamis(line);
    let sentence = ran.refusal(code);
    for word in words {
        assert!(sentence.contains(word), "'{word}' is not in: {sentence}");
    }
    assert_eq!(lab.outputs(), Vec::<String>::new(), "nothing may be left behind");
}

#[test]
fn inputs() {
    let lab = lab();
    lab.write("text.tmf", "no recording at all, but long enough for a header of sixty-four bytes, and more");
    lab.write("empty.tmf", "");
    lab.write("torn.tmf", &Frames::new().bytes[..100]);
    let cases: [(&str, &[&str]); 5] = [
        ("absent.tmf", &["absent.tmf", "no such file"]),
        (".", &["is a folder", ".tmf"]),
        ("text.tmf", &["text.tmf", "is no Tamis recording", "tamis convert"]),
        ("empty.tmf", &["empty.tmf", "is empty"]),
        ("torn.tmf", &["torn.tmf", "schema frame"]),
    ];
    for (input, words) in cases {
        refused(&lab, &format!("replay {input} --menu menu.toml --out out"), 65, words);
    }
    refused(&lab, "info absent.tmf", 65, &["absent.tmf"]);
    refused(&lab, "cat absent.tmf", 65, &["absent.tmf"]);
    refused(&lab, "verify absent.tmf", 65, &["absent.tmf"]);
    refused(&lab, "recover absent.mcap.part", 65, &["absent.mcap.part"]);
    refused(&lab, "train absent.toml", 65, &["absent.toml"]);
    refused(&lab, "convert absent.csv --schema schema.toml --out x.tmf", 65, &["absent.csv"]);
    refused(&lab, "gen --schema absent.toml --events 1 --out x.tmf", 65, &["absent.toml"]);
    refused(&lab, "gen --schema schema.toml --events 1 --out x.dat", 64, &["x.dat", ".tmf"]);
}

#[test]
fn one_unusable_file_does_not_hide_the_others() {
    let lab = lab();
    let ran = lab.tamis("verify absent.mcap in.tmf");
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.out.contains("in.tmf") && ran.err.contains("absent.mcap"), "{ran:?}");
}

#[test]
fn menus_with_line_and_column() {
    let lab = lab();
    let replay = "replay in.tmf --menu bad.toml --out out";
    refused(&lab, replay, 65, &["bad.toml", "the menu cannot be read"]);
    lab.write("bad.toml", "name = \"a\"\n[[line]\n");
    refused(&lab, replay, 65, &["bad.toml:2:"]);
    // Line 10 holds the expression; the column is that of the unknown word.
    lab.write("bad.toml", MENU.replace("x >= 100", "x >= 100 && xx > 1"));
    let column = "when = \"x >= 100 && ".len() + 1;
    refused(&lab, replay, 65, &[&format!("bad.toml:10:{column}"), "'xx'", "x"]);
    lab.write("bad.toml", MENU.replace("streams = [\"physics\"]", "streams = [\"physic\"]"));
    refused(&lab, replay, 65, &["bad.toml:11:", "physic"]);
}

#[test]
fn models() {
    let lab = lab();
    lab.write("scored.toml", MODEL_MENU);
    let replay = "replay in.tmf --menu scored.toml --out out";
    refused(&lab, replay, 65, &["twice", "cannot be read", "bundle"]);
    lab.model("twice", "y", 2.0);
    refused(&lab, replay, 65, &["model 'twice'", "'y'"]);
    lab.model("twice", "x", f32::NAN);
    refused(&lab, replay, 65, &["twice", "layers.0.weight", "finite"]);
    lab.model("twice", "x", 2.5);
    refused(&lab, replay, 65, &["golden", "model 'twice'"]);
    lab.model("twice", "x", 2.0);
    let weights = lab.path("twice/weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    refused(&lab, replay, 65, &["weights.safetensors", "SHA-256"]);
    lab.model("twice", "x", 2.0);
    refused(&lab, &format!("{replay} --model other=twice"), 64, &["no model 'other'", "twice"]);
    assert_eq!(lab.tamis(replay).code, Some(0), "the model itself is good");
}

#[test]
fn settings_and_command_lines() {
    let lab = lab();
    let replay = "replay in.tmf --menu menu.toml --out out";
    refused(&lab, &format!("{replay} --workers 0"), 64, &["worker"]);
    refused(&lab, &format!("{replay} --name a/b"), 64, &["'a/b'", "file name"]);
    refused(
        &lab,
        "gen --schema schema.toml --events 1 --out x.tmf --signal 2",
        64,
        &["signal fraction", "between 0 and 1"],
    );
    for (more, word) in [
        ("--rate 40mhz", "did you mean 'MHz'"),
        ("--pace soon", "a rate must be a number"),
        ("--durable always", "every=200ms"),
        ("--model topo", "topo=models/topo-2"),
        ("--device tpu", "there is: flex"),
        ("--repeat 0", "0 is not in 1.."),
        ("--wrokers 2", "--workers"),
        ("--rotate 2Gib", "did you mean 'GiB'"),
    ] {
        let ran = lab.tamis(&format!("{replay} {more}"));
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{more}");
        assert!(ran.err.contains(word), "'{word}' is not in: {}", ran.err);
    }
    assert_eq!(lab.tamis("").code, Some(2));
    assert_eq!(lab.tamis("replya").code, Some(2));
}

#[test]
fn output_folders() {
    let lab = lab();
    lab.write("file", "");
    // Below a file and in /proc nobody can create anything, whatever permissions the user has.
    for out in ["file", "file/below", "/proc/tamis"] {
        refused(
            &lab,
            &format!("replay in.tmf --menu menu.toml --out {out}"),
            74,
            &[out, "cannot be used", "choose another"],
        );
    }
}

#[test]
fn settings_file() {
    let lab = lab();
    lab.write(
        "good.toml",
        "menu = \"menu.toml\"\nout = \"out\"\nbatch = 7\nworkers = 1\njson = true\nrate = \"2kHz\"\n",
    );
    let document = |ran: &crate::support::Ran| serde_json::from_str::<serde_json::Value>(&ran.out).unwrap();
    let ran = lab.tamis("replay in.tmf --config good.toml");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = document(&ran);
    assert_eq!(
        (&json["batch"], &json["workers"], &json["input_rate_hz"]),
        (&7.into(), &1.into(), &2000.0.into())
    );
    // Flags before variables before the file.
    let mut command = lab.command("replay in.tmf --config good.toml --workers 2".split(' '));
    let ran =
        crate::support::ran(&command.env("TAMIS_WORKERS", "3").env("TAMIS_BATCH", "9").output().unwrap());
    let json = document(&ran);
    assert_eq!((&json["batch"], &json["workers"]), (&9.into(), &2.into()));

    std::fs::remove_dir_all(lab.path("out")).unwrap();
    let bad = |text: &str, words: &[&str]| {
        lab.write("bad.toml", text);
        refused(&lab, "replay in.tmf --config bad.toml --menu menu.toml --out out", 64, words);
    };
    bad("workrs = 2", &["bad.toml", "unknown setting 'workrs'", "did you mean 'workers'?"]);
    bad("a = 1\n= 2", &["bad.toml", "line 2"]);
    bad("workers = { a = 1 }", &["bad.toml", "'workers' must be"]);
    refused(
        &lab,
        "replay in.tmf --config none.toml --menu menu.toml --out out",
        64,
        &["none.toml", "cannot be read"],
    );
}

#[test]
fn tables() {
    let lab = lab();
    let convert = "convert t.csv --schema schema.toml --out t.tmf";
    let bad = |text: &str, words: &[&str]| {
        lab.write("t.csv", text);
        refused(&lab, convert, 65, words);
        assert!(!lab.path("t.tmf").exists() && !lab.path("t.tmf.part").exists());
    };
    bad("x\n1\n", &["t.csv", "no column for 'n'"]);
    bad("x,n\n1,2\n3,many\n", &["t.csv", "line 3", "column 'n'", "'many'"]);
    bad("x,n\n1,40000\n", &["t.csv", "line 2", "column 'n'", "32767", "--saturate"]);
    bad(
        "event,x,n\n7,1,2\n8,1,2\n7,1,2\n",
        &["t.csv", "event 7 of run 1", "line 2", "line 4", "--ids number"],
    );
    bad("x,n\n1e400,2\n", &["t.csv", "line 2", "column 'x'", "1e400", "--saturate"]);
    bad("", &["t.csv is empty"]);
    lab.write("t.csv", "x,n\n1,2\n");
    for (out, words) in
        [("o.csv", "ends in .tmf"), ("-", "ends in .tmf"), ("in.tmf", "exists; give --overwrite")]
    {
        refused(&lab, &format!("convert t.csv --schema schema.toml --out {out}"), 64, &[out, words]);
    }
    refused(
        &lab,
        &format!("cat {} --fields met.pr", sample("l1-zerobias.tmf.zst")),
        64,
        &["'met.pr'", "did you mean 'met.pt'?"],
    );
    refused(
        &lab,
        &format!("cat {} --fields jets.pt[10]", sample("l1-zerobias.tmf.zst")),
        64,
        &["jets.pt[0] to jets.pt[9]"],
    );
}
