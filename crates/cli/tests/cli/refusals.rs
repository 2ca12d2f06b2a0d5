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
        (".", &["is a folder", "name a file in it"]),
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
    refused(&lab, replay, 65, &["twice", "cannot be read", "bundle", "(scored.toml, line 6)"]);
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
    refused(&lab, "replay in.tmf --menu menu.toml --out -", 64, &["name a folder"]);
    refused(&lab, "model import in.tmf --schema schema.toml --out -", 64, &["name a folder"]);
    refused(
        &lab,
        "gen --schema schema.toml --events 1 --out x.tmf --signal 2",
        64,
        &["signal fraction", "between 0 and 1"],
    );
    for (more, word) in [
        ("--rate 40mhz", "did you mean 'MHz'"),
        ("--pace soon", "a rate must be a number"),
        ("--pace 1", "a rate must be a number with one of the units Hz, kHz, MHz, GHz, as in 40MHz"),
        ("--rate 40", "with one of the units Hz, kHz, MHz, GHz"),
        ("--durable always", "every=200ms"),
        (
            "--compression gzip",
            "'gzip' is no compression; write none, lz4, zstd or zstd=LEVEL with a level from 1 to 19",
        ),
        ("--compression zstd=20", "zstd=LEVEL with a level from 1 to 19"),
        ("--model topo", "topo=models/topo-2"),
        ("--device tpu", "there is: flex"),
        ("--repeat 0", "0 is not in 1.."),
        ("--wrokers 2", "--workers"),
        ("--rotate 2Gib", "did you mean 'GiB'"),
        ("--rotate 5", "a size must be a number with one of the units"),
        ("--rotate 0B", "a size must be at least 1B"),
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
            64,
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
    bad("workers = 1\nlabel = fast", &["bad.toml: line 2: a word needs quotation marks: \"fast\""]);
    bad("workrs = 2", &["bad.toml", "unknown setting 'workrs'", "did you mean 'workers'?"]);
    bad(
        "workrs = 2\nout = { a = 1 }",
        &["bad.toml: 'out' must be a text", "; and unknown setting 'workrs'; did you mean 'workers'?"],
    );
    bad("a = 1\n= 2", &["bad.toml", "line 2"]);
    bad("workers = { a = 1 }", &["bad.toml", "'workers' must be"]);
    bad("workers = \"many\"", &["bad.toml: 'workers' is 'many': a count must be a number"]);
    bad("pace = 1", &["bad.toml: 'pace' is '1': a rate must be a number with one of the units"]);
    bad("rate = \"\"", &["bad.toml: 'rate' is empty: give --rate a value there, or leave it out"]);
    bad("repeat = 0", &["bad.toml: 'repeat' is '0': 0 is not in 1.."]);
    bad(
        "workers = 0",
        &["0 workers; use 1 to", "(not from the command line: --workers 0 (bad.toml: 'workers'))"],
    );
    refused(
        &lab,
        "replay in.tmf --config none.toml --menu menu.toml --out out",
        64,
        &["none.toml", "cannot be read"],
    );
}

#[test]
fn what_a_variable_says_is_blamed_on_it() {
    let lab = lab();
    lab.write("run.toml", "batch = \"few\"\n");
    let refusal = |line: &str, variables: &str, code: i32| {
        let mut command = lab.command(line.split(' '));
        let ran = crate::support::ran(
            &command.envs(variables.split(' ').filter_map(|one| one.split_once('='))).output().unwrap(),
        );
        assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{ran:?}");
        assert_eq!(lab.outputs(), Vec::<String>::new());
        ran.err
    };
    let replay = "replay in.tmf --menu menu.toml --out out";
    #[rustfmt::skip]
    let table: [(&str, &str, i32, &str); 7] = [
        (replay, "TAMIS_WORKERS=x", 64, "tamis: TAMIS_WORKERS is 'x': a count must be a number, alone or with one of the units k, M, G, as in 20M\n"),
        (replay, "TAMIS_RATE=40", 64, "tamis: TAMIS_RATE is '40': a rate must be a number with one of the units Hz, kHz, MHz, GHz, as in 40MHz\n"),
        (replay, "TAMIS_DEVICE=tpu", 64, "tamis: TAMIS_DEVICE is 'tpu': "),
        (replay, "TAMIS_WORKERS=0", 64, "(not from the command line: --workers 0 (TAMIS_WORKERS))\n"),
        ("replay in.tmf --out out", "TAMIS_MENU=none.toml", 65, "none.toml: the menu cannot be read: No such file or directory (os error 2) (not from the command line: --menu none.toml (TAMIS_MENU))\n"),
        ("cat in.tmf --jsonl", "TAMIS_JSON=1", 2, "tamis: not from the command line: --json 1 (TAMIS_JSON)\n"),
        ("replay in.tmf --menu menu.toml --out out --config run.toml", "TAMIS_BATCH=many", 64, "tamis: TAMIS_BATCH is 'many': "),
    ];
    for (line, variables, code, words) in table {
        let told = refusal(line, variables, code);
        assert!(told.contains(words), "{told}");
    }
    // What the line itself says is its own, and what nobody complains about is not mentioned.
    let told = refusal(&format!("{replay} --workers many"), "TAMIS_WORKERS=x TAMIS_BATCH=7", 2);
    assert!(told.contains("invalid value 'many' for '--workers <N>'"), "{told}");
    let told = refusal("replay none.tmf --menu menu.toml --out out", "TAMIS_BATCH=7", 65);
    assert_eq!(told, "tamis: none.tmf: no such file\n");
}

#[test]
fn a_file_in_the_wrong_place_is_called_what_it_is() {
    let lab = lab();
    lab.write("t.csv", "x,n\n1,2\n");
    lab.write("empty", "");
    lab.write("t.csv.gz", b"\x1F\x8B\x08\0\0\0\0\0");
    assert_eq!(lab.tamis("replay in.tmf --menu menu.toml --out kept").code, Some(0));
    let stored = "kept/in-physics-0001.mcap";
    lab.write("weights.safetensors", b"\x40\0\0\0\0\0\0\0{\"a\":");
    lab.write("net.onnx", b"\x08\x0A\x12\x08skl2onnx\x1A\x061.20.0");
    lab.model("twice", "x", 2.0);
    #[rustfmt::skip]
    let table = [
        (format!("replay {stored} --menu menu.toml --out out"), "in-physics-0001.mcap is no Tamis recording but an MCAP file, as stored events are; `tamis cat` shows"),
        ("replay menu.toml --menu menu.toml --out out".into(), "menu.toml is no Tamis recording but a menu; `tamis replay` takes it with --menu"),
        ("replay t.csv --menu menu.toml --out out".into(), "t.csv is no Tamis recording but a table; make a recording of it with `tamis convert`"),
        ("replay t.csv.gz --menu menu.toml --out out".into(), "is no Tamis recording but compressed with gzip; unpack it first, with: gzip -dc"),
        ("replay in.tmf --menu schema.toml --out out".into(), "schema.toml is no menu but a schema of events; `tamis convert` takes it with --schema"),
        ("replay in.tmf --menu in.tmf --out out".into(), "in.tmf is no menu but a Tamis recording"),
        (format!("replay in.tmf --menu {} --out out", sample("l1-ato4l.tmf.zst")), "l1-ato4l.tmf.zst is no menu but a Tamis recording"),
        ("replay in.tmf --menu t.csv --out out".into(), "t.csv"),
        ("gen --schema menu.toml --events 1 --out o.tmf".into(), "menu.toml is no schema but a menu; `tamis replay` takes it with --menu"),
        ("gen --schema empty --events 1 --out o.tmf".into(), "empty is no schema but an empty file; it begins with: name ="),
        ("replay in.tmf --menu empty --out out".into(), "empty is no menu but an empty file; it begins with: name ="),
        ("train empty".into(), "empty is no recipe but an empty file; it begins with: name ="),
        ("gen --schema in.tmf --events 1 --out o.tmf".into(), "in.tmf is no schema but a Tamis recording"),
        ("convert in.tmf --schema schema.toml --out o.tmf".into(), "in.tmf is a Tamis recording: it needs no conversion"),
        ("convert . --schema schema.toml --out o.tmf".into(), ". is a folder; name a table in it"),
        ("model info menu.toml".into(), "menu.toml is no bundle but a menu; `tamis replay` takes it with --menu"),
        ("model info in.tmf".into(), "in.tmf is no bundle but a Tamis recording"),
        ("model info twice/model.toml".into(), "model.toml is no bundle but the model.toml of a bundle; name its folder where a bundle is asked for"),
        (format!("model import {stored} --schema schema.toml --out m"), "is no ONNX model but an MCAP file"),
        ("model import weights.safetensors --schema schema.toml --out m".into(), "weights.safetensors is no ONNX model but a safetensors file; export the network as ONNX"),
        ("model import . --schema schema.toml --out m".into(), ". is a folder; name a file in it"),
        ("model info net.onnx".into(), "net.onnx is no bundle but an ONNX model; make a bundle of it with `tamis model import`"),
        ("info kept/in.ledger.jsonl".into(), "in.ledger.jsonl is no Tamis recording but the ledger of a run; `tamis verify` checks a run by it"),
        ("train menu.toml".into(), "menu.toml is no recipe but a menu; `tamis replay` takes it with --menu"),
        ("train in.tmf".into(), "in.tmf is no recipe but a Tamis recording"),
    ];
    for (line, words) in table {
        refused(&lab, &line, 65, &[words]);
    }
}

#[test]
fn events_that_are_not_there() {
    let lab = lab();
    let ran = lab.tamis("cat in.tmf --event 99999999");
    assert_eq!(ran.refusal(65), "in.tmf has no event 99999999; its ids are from 0 to 1\n");
    let ran = lab.tamis("cat in.tmf --event 1 --event 7 --event 5 --jsonl");
    assert_eq!((ran.code, ran.out.lines().count()), (Some(65), 1), "{ran:?}");
    assert_eq!(ran.err, "tamis: in.tmf has no event 5, 7; its ids are from 0 to 1\n");
    for line in
        ["cat in.tmf --event 1", "cat in.tmf --event 7 --limit 0", "cat in.tmf --event 0 --event 7 --limit 1"]
    {
        assert_eq!(lab.tamis(line).code, Some(0), "{line}");
    }
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
    bad("x,N.0\n1,2\n", &["t.csv", "no column for 'n'", "--map COLUMN=FIELD"]);
    bad("x,'n'\n1,2\n", &["t.csv", "no column for 'n'"]);
    bad("X,\"n \u{a0}_\"\n1,2\n", &["t.csv", "no column for 'n'"]);
    bad("X,n_\n1,2\n", &["t.csv", "no column for 'n'", "--map n_=n\n"]);
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

#[test]
fn a_variable_that_no_option_reads_is_told_of() {
    let lab = lab();
    let with = |name: &str| {
        let ran = lab.command(["info", "in.tmf"]).env(name, "never").output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    let told = "tamis: no option reads the variable TAMIS_DURABEL; did you mean 'TAMIS_DURABLE'?\n";
    assert_eq!(with("TAMIS_DURABEL"), (Some(0), told.into()));
    assert_eq!(with("TAMIS_DURABLE"), (Some(0), String::new()), "another command reads it");
}
