//! Who decides the events of a file again, on which engine.

use std::sync::Arc;

use tamis_event::record::{self, RecordHeader};
use tamis_menu::ERROR_STREAM;
use tamis_model::Engine;
use tamis_pipeline::Judge;

use crate::models::{BoundModels, REFERENCE, Rules};
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

/// The models of the last file, bound to the engines of its run. Those of the next file are often the same.
#[derive(Debug, Default)]
pub(super) struct BoundElsewhere {
    rules: Option<Arc<Rules>>,
    bound: Vec<(Vec<Engine>, Result<BoundModels, String>)>,
}

impl BoundElsewhere {
    /// A judge on the given engines, or why one of them cannot be had.
    fn judge(&mut self, about: &About, engines: &[Engine]) -> Result<Judge, String> {
        let rules = about.rules();
        if self.rules.as_ref().is_none_or(|last| !Arc::ptr_eq(last, rules)) {
            *self = Self { rules: Some(rules.clone()), bound: Vec::new() };
        }
        if self.bound.iter().all(|(known, _)| known != engines) {
            let models = rules.bind_to(engines, &about.schema).map_err(|failure| failure.message);
            self.bound.push((engines.to_vec(), models));
        }
        let (_, models) = self.bound.iter().find(|(known, _)| known == engines).expect("just bound");
        models.as_ref().map(|models| rules.judge_with(models)).map_err(Clone::clone)
    }
}

/// Who can decide the events of a file again.
pub(super) struct Judges<'a> {
    elsewhere: &'a mut BoundElsewhere,
    reference: Judge,
    /// On the engines of the run, made when it is first needed; or why it cannot be made.
    other: Option<Result<Judge, String>>,
    /// Does the reference stand in for a device in it?
    pub(super) stands_in: bool,
}

impl<'a> Judges<'a> {
    pub(super) fn new(about: &About, elsewhere: &'a mut BoundElsewhere) -> Self {
        Self { elsewhere, reference: about.rules().judge(), other: None, stands_in: false }
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
            let made = self.on_engines_of_the_run(about);
            self.stands_in = made.as_ref().is_ok_and(|(_, stands_in)| *stands_in);
            self.other = Some(made.map(|(judge, _)| judge));
        }
        match self.other.as_ref().expect("just made") {
            Ok(_) => Ok(false),
            Err(reason) => Err(format!("they were made on {}: {reason}", about.engine)),
        }
    }

    /// A judge on the engines of the run; and whether the reference stands in for a device that is not here.
    fn on_engines_of_the_run(&mut self, about: &About) -> Result<(Judge, bool), String> {
        let mut engines = engines(about)?;
        let failure = match self.elsewhere.judge(about, &engines) {
            Ok(judge) => return Ok((judge, false)),
            Err(failure) => failure,
        };
        if engines.iter().all(|engine| engine.is_cpu()) {
            return Err(failure);
        }
        engines.iter_mut().filter(|engine| !engine.is_cpu()).for_each(|engine| *engine = REFERENCE);
        self.elsewhere.judge(about, &engines).map(|judge| (judge, true)).map_err(|_| failure)
    }

    /// One that [`Judges::of`] named.
    pub(super) fn made(&mut self, reference: bool) -> &mut Judge {
        match &mut self.other {
            Some(Ok(other)) if !reference => other,
            _ => &mut self.reference,
        }
    }
}
