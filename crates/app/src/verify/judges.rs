//! Who decides the events of a file again, on which engine.

use tamis_event::record::{self, RecordHeader};
use tamis_menu::ERROR_STREAM;
use tamis_model::Engine;
use tamis_pipeline::Judge;

use crate::models::REFERENCE;
use crate::stored::About;

/// The engines that the run used, one for each choice of each model.
pub(super) fn engines(about: &About) -> Result<Vec<Engine>, String> {
    let count = about.rules().bundles.iter().map(|(_, choices)| choices.len()).sum();
    let words =
        about.engine.split(',').map(|word| word.trim().parse::<Engine>().map_err(|error| error.to_string()));
    let engines: Vec<Engine> = words.collect::<Result<_, _>>()?;
    match &engines[..] {
        &[all] => Ok(vec![all; count]),
        each if each.len() == count => Ok(engines),
        each => Err(format!("the file names {} engines for {count} models", each.len())),
    }
}

/// Who can decide the events of a file again.
pub(super) struct Judges {
    reference: Judge,
    /// On the engines of the run, made when it is first needed; or why it cannot be made.
    other: Option<Result<Judge, String>>,
    /// Does the reference stand in for a device in it?
    pub(super) stands_in: bool,
}

impl Judges {
    pub(super) fn new(about: &About) -> Self {
        Self { reference: about.rules().judge(), other: None, stands_in: false }
    }

    /// Is the judge for a record the reference? Or why there is none.
    pub(super) fn of(&mut self, about: &About, header: &RecordHeader) -> Result<bool, String> {
        if header.fault == record::fault::DEVICE {
            return Err("their device was lost, and nothing stood in for it".into());
        }
        // A model that panics is named, and does so again.
        let nobody = (header.fault, header.guilty_model) == (record::fault::PANIC, record::NO_MODEL);
        if nobody && about.stream == ERROR_STREAM {
            return Err("their blocks have none, because something else than a model panicked".into());
        }
        if header.engine == 0 || header.engine == REFERENCE.code() {
            return Ok(true);
        }
        if header.flags & record::DEGRADED != 0 {
            return Err("after a device was lost, their models ran on several engines".into());
        }
        if self.other.is_none() {
            let made = Self::on_engines_of_the_run(about);
            self.stands_in = made.as_ref().is_ok_and(|(_, stands_in)| *stands_in);
            self.other = Some(made.map(|(judge, _)| judge));
        }
        match self.other.as_ref().expect("just made") {
            Ok(_) => Ok(false),
            Err(reason) => Err(format!("they were made on {}: {reason}", about.engine)),
        }
    }

    /// A judge on the engines of the run; and whether the reference stands in for a device that is not here.
    fn on_engines_of_the_run(about: &About) -> Result<(Judge, bool), String> {
        let mut engines = engines(about)?;
        let on = |engines: &[Engine]| about.rules().judge_on(engines, &about.schema);
        let failure = match on(&engines) {
            Ok(judge) => return Ok((judge, false)),
            Err(failure) => failure.message,
        };
        if engines.iter().all(|engine| engine.is_cpu()) {
            return Err(failure);
        }
        engines.iter_mut().filter(|engine| !engine.is_cpu()).for_each(|engine| *engine = REFERENCE);
        on(&engines).map(|judge| (judge, true)).map_err(|_| failure)
    }

    /// One that [`Judges::of`] named.
    pub(super) fn made(&mut self, reference: bool) -> &mut Judge {
        match &mut self.other {
            Some(Ok(other)) if !reference => other,
            _ => &mut self.reference,
        }
    }
}
