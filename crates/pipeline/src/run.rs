//! Wiring the stages and running them, on threads or on one thread from a seed.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tamis_event::{CloseReason, Schema, SegmentId};
use tamis_ledger::{Imbalance, Latency, Storage, Tally};
use tamis_menu::{CompiledMenu, ERROR_STREAM};
use tamis_port::{Sink, SinkError, SinkReport, Source, SourceError};
use tamis_ring::{Bell, Receiver, Sender, queue};

use crate::admission::Admission;
use crate::budget::Budget;
use crate::crew::Crew;
use crate::guard::{guarded, panic_message};
use crate::outbound::{Inbound, Outbound, PARTS_MAX};
use crate::sequencer::{Sequencer, SequencerReport, UNREAD_MAX};
use crate::worker::{Queues, Worker};
use crate::writer::Writer;
use crate::{
    Choice, Clock, Control, Cpus, DeviceLoss, FrameReader, Judge, Limits, Pace, Progress, Stage, Stamp,
    Undecided,
};

/// Everything that a run is made of.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Setup<'a> {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// Schema of all events.
    pub schema: &'a Schema,
    /// The menu, compiled for the schema and the scores of the classifiers, in order.
    pub menu: Arc<CompiledMenu>,
    /// For each worker, the choices of each model of the menu, best first.
    pub models: Vec<Vec<Vec<Choice>>>,
    /// Storage: one sink per stream of the menu, in order, and one more for the error stream.
    pub sinks: Vec<Box<dyn Sink>>,
    /// What every record says about the schema, the models and this CPU.
    pub stamp: Stamp,
    /// Workers and batch.
    pub limits: Limits,
    /// How fast events are admitted.
    pub pace: Pace,
    /// Longest time from admission to a decision; an event that has no scores by then goes to the last rung. With a deadline the speed of the machine
    /// determines which events are late, and nothing else.
    pub deadline: Option<Duration>,
    /// How long admission and the workers look for something to do before they sleep; between looks the system can give their cores to others.
    /// They always look for a few microseconds; with `Duration::MAX` they never sleep. Useful if nothing else needs their cores.
    pub busy_poll: Duration,
    /// Where threads run, and whether admission has one of its own.
    pub cpus: Cpus,
    /// The clock that measures latencies and paces the input.
    pub clock: Arc<dyn Clock>,
    /// How the run is watched and stopped.
    pub control: Arc<Control>,
}

/// How often the thread that waits for a run looks up, if there is no news.
const NEWS_EVERY: Duration = Duration::from_millis(100);

/// The books of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentBooks {
    /// Which one.
    pub id: SegmentId,
    /// Its counters.
    pub tally: Tally,
    /// Its share of each stream: those of the menu in order, then the error stream.
    pub streams: Vec<Share>,
}

/// The share of a segment in one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Its events.
    pub events: u64,
    /// Events of the stream up to the end of the batch that has the last event of the share: when so many are stored, all of the share is.
    pub end: u64,
}

/// What a run tells the thread that waits for it.
#[derive(Debug)]
pub(crate) enum News {
    /// A segment is complete.
    Segment(Box<SegmentBooks>),
    /// A stage has ended, one way or another.
    Ended,
}

/// Says that a thread has ended, however it ends: the one that waits for this must not wait for ever.
struct SaysEnded(mpsc::Sender<News>);

impl Drop for SaysEnded {
    fn drop(&mut self) {
        // The one who waits is there until every thread has said it.
        let _ = self.0.send(News::Ended);
    }
}

/// How long events took, in ns.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// From arrival until a worker took the batch. The source may know the arrival; else it is the admission of the batch's first event.
    pub wait: Latency,
    /// Scores, verdicts and copies of the whole batch.
    pub decide: Latency,
    /// From arrival until decided: both together.
    pub decision: Latency,
    /// From the arrival of the first event of the batch until written, for events that were kept.
    pub store: Latency,
}

/// What one stream received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamOutcome {
    /// Events written.
    pub written: u64,
    /// Events that storage lost.
    pub failed: u64,
    /// Files and bytes; empty if closing failed.
    pub report: SinkReport,
    /// Why storage failed.
    pub error: Option<SinkError>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// The books. `received` is admission's own count, the outcomes are counted by the workers.
    pub tally: Tally,
    /// What became of the kept events.
    pub storage: Storage,
    /// Do both equations hold, for the run and for each segment?
    pub balance: Result<(), Imbalance>,
    /// The streams of the menu in order, then the error stream.
    pub streams: Vec<StreamOutcome>,
    /// How many batches were closed for each reason (order of [`CloseReason::ALL`]).
    pub closes: [u64; CloseReason::ALL.len()],
    /// How long events took.
    pub latencies: Latencies,
    /// How late an event was admitted at most, in ns: large if the pace was not held. `None` at flat pace, and if no event has a time.
    pub lag_ns: Option<u64>,
    /// Events that were received before the input began again; `None` if it never did.
    pub first_pass: Option<u64>,
    /// Had admission a thread of its own? Else it took turns with the first worker.
    pub admitted_apart: bool,
    /// The devices that workers lost, from the first event on.
    pub losses: Vec<DeviceLoss>,
    /// Why events could not be decided: the first reason of each model and rung.
    pub failures: Vec<Undecided>,
    /// Why the source stopped early.
    pub source_error: Option<SourceError>,
    /// Stages that panicked: defects of this program.
    pub panics: Vec<String>,
    /// Why the run could not begin: the system refused threads. Nothing else is meaningful then.
    pub refused: Option<String>,
    /// Time from the first step to the last, in ns.
    pub elapsed_ns: u64,
}

/// A wired run that has not begun.
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Pipeline {
    pub(crate) admission: (Admission, Arc<Bell>),
    pub(crate) workers: Vec<(Worker, Arc<Bell>)>,
    sequencer: (Sequencer, Arc<Bell>),
    writers: Vec<(Writer, Arc<Bell>)>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
    /// Books of segments among the news that were not read yet.
    pub(crate) unread: Arc<AtomicUsize>,
    busy_poll: Duration,
    clock: Arc<dyn Clock>,
    cpus: Cpus,
    /// Has admission a thread of its own? Else it has the first worker's, and its bell.
    admits_apart: bool,
    limits: Limits,
    control: Arc<Control>,
}

impl Pipeline {
    /// Wires a run.
    ///
    /// # Panics
    /// If the numbers of models, rungs and sinks do not fit the limits and the menu: the caller's plan is wrong.
    pub fn new(setup: Setup<'_>) -> Self {
        let Setup { source, schema, menu, models, sinks, stamp, limits, pace, .. } = setup;
        let Setup { deadline, busy_poll, cpus, clock, control, .. } = setup;
        assert_eq!(models.len(), limits.workers(), "one set of models per worker");
        assert_eq!(sinks.len(), menu.streams().len() + 1, "one sink per stream and one for errors");
        let mut input = FrameReader::new(source, schema);
        let live = input.is_live() || pace != Pace::Flat;
        let admits_apart = cpus.admit_apart(limits.workers(), live);
        // Admission waits for two things, batches and bytes, on one bell.
        let source_bell = input.bell();
        let source_rings = source_bell.is_some();
        let admission_bell = source_bell.unwrap_or_default();
        let mut worker_bells: Vec<Arc<Bell>> = (0..limits.workers()).map(|_| Arc::default()).collect();
        if !admits_apart {
            worker_bells[0] = admission_bell.clone();
        }
        let all_workers: Vec<&Arc<Bell>> = worker_bells.iter().collect();
        let sequencer_bell = Arc::<Bell>::default();

        let outputs = limits.outbound_batches(sinks.len());
        let lines = menu.lines().len();
        let rungs = menu.rungs();
        let streams = sinks.len();
        let judge = |models| Judge::new(models, menu.clone(), stamp, limits.batch());
        let judges: Vec<Judge> = models.into_iter().map(judge).collect();
        let record = judges[0].record_len(schema.record_len());
        let most = Outbound::new(lines, rungs, sinks.len());
        let most = most.need(limits.batch(), limits.payload_bytes(), PARTS_MAX, record);
        let budget = Arc::new(Budget::new(limits.output_bytes_max(), most));
        let (free_inputs, take_input) =
            pool(limits.inbound_batches(), &[&admission_bell], || Inbound::new(schema.record_len()));
        let (free_outputs, take_output) =
            pool(outputs, &all_workers, || Outbound::new(lines, rungs, streams));
        let (to_workers, from_admission) = queue(limits.inbound_batches(), &[], &all_workers);
        let (to_sequencer, from_workers) = queue(outputs, &[], &[&sequencer_bell]);
        let news = mpsc::channel();
        let unread = Arc::<AtomicUsize>::default();

        // Only admission wakes its receivers at once: the rest is not in the way of a decision. A worker on its own thread needs no call for a
        // batch.
        let to_workers = to_workers.patient(if admits_apart { 1 } else { 2 });
        let free_inputs = free_inputs.patient(limits.free_per_wake());
        let to_sequencer = to_sequencer.patient(limits.outputs_per_wake(sinks.len()));
        let free_outputs = free_outputs.patient(limits.outputs_per_wake(sinks.len()));
        let admission = Admission::new(
            input,
            source_rings,
            pace,
            limits,
            clock.clone(),
            control.clone(),
            take_input,
            to_workers,
        );
        let workers = judges.into_iter().zip(worker_bells.clone()).map(|(judge, bell)| {
            let queues = Queues {
                input: from_admission.clone(),
                free_inputs: free_inputs.clone(),
                free_outputs: take_output.clone(),
                output: to_sequencer.clone(),
            };
            (Worker::new(judge, queues, deadline, budget.clone(), clock.clone(), control.clone()), bell)
        });
        let workers = workers.collect();
        let names = menu.streams().iter().map(|stream| stream.name.clone()).chain([ERROR_STREAM.into()]);
        let sinks = names.zip(sinks).collect();
        let (next, writers) = chain(sinks, limits, free_outputs, &budget, &clock, &control);
        let sequencer = Sequencer::new(
            from_workers,
            next,
            outputs,
            Tally::new(lines, rungs),
            streams,
            news.0.clone(),
            unread.clone(),
            budget.clone(),
            control.clone(),
        );
        Self {
            admission: (admission, admission_bell),
            workers,
            sequencer: (sequencer, sequencer_bell),
            writers,
            news,
            unread,
            busy_poll,
            clock,
            cpus,
            admits_apart,
            limits,
            control,
        }
    }

    /// Runs the stages on threads. `on_news` is called on this thread: with the books of each segment as it ends, and with `None` now and then.
    pub fn run_threads(mut self, mut on_news: impl FnMut(Option<SegmentBooks>)) -> Outcome {
        let start = self.clock.now_ns();
        let control = self.control.clone();
        let ended = self.news.0.clone();
        let unread = self.unread.clone();
        let sequencer_bell = self.sequencer.1.clone();
        let news = std::mem::replace(&mut self.news.1, mpsc::channel().1);
        let mut panics = Vec::new();
        let mut refused = None;
        thread::scope(|scope| {
            let mut running = Vec::new();
            for crew in self.crews() {
                let ended = SaysEnded(ended.clone());
                let name = crew.name();
                let run = move || {
                    let _ended = ended;
                    crew.run()
                };
                match thread::Builder::new().name(name.clone()).spawn_scoped(scope, run) {
                    Ok(handle) => running.push((name, handle)),
                    Err(error) => {
                        // The stages that run already end at their next step.
                        control.die();
                        refused = Some(format!("the system refused to start a thread for {name}: {error}"));
                        break;
                    }
                }
            }
            let mut going = running.len();
            while going > 0 {
                let books = match news.recv_timeout(NEWS_EVERY) {
                    Ok(News::Segment(books)) => Some(*books),
                    Ok(News::Ended) => {
                        going -= 1;
                        continue;
                    }
                    // This thread holds a sender, so there is nothing else that it can be.
                    Err(_) => None,
                };
                let is_read = usize::from(books.is_some());
                // Whoever reads the books is no stage, but the run must not wait for it either.
                if let Err(message) = guarded(|| on_news(books)) {
                    control.die();
                    panics.push(format!("the books of a segment: {message}"));
                }
                // SYNC: the bell's fences order this before the sequencer's last look; see `Bell`.
                if unread.fetch_sub(is_read, Ordering::Relaxed) >= UNREAD_MAX {
                    sequencer_bell.ring();
                }
            }
            for (name, handle) in running {
                let of_thread =
                    |panic: Box<dyn Any + Send>| Err(format!("{name}: {}", panic_message(&*panic)));
                panics.extend(handle.join().unwrap_or_else(of_thread).err());
            }
        });
        Outcome { refused, ..self.finish(start, panics) }
    }

    /// The stages by the threads that they need.
    fn crews(&mut self) -> Vec<Crew<'_>> {
        let Self { admission, workers, sequencer, writers, control, cpus, busy_poll, limits, .. } = self;
        let feeds = limits.inbound_batches();
        let crew =
            |stages, bell, cpus, busy_poll| Crew { stages, bell, cpus, busy_poll, feeds, control, at: 0 };
        let mut crews = Vec::new();
        let others = cpus.of_others(limits.workers());
        let mut stages: Vec<(String, &mut dyn Stage)> = vec![("admission".into(), &mut admission.0)];
        if self.admits_apart {
            crews.push(crew(std::mem::take(&mut stages), &*admission.1, others.clone(), *busy_poll));
        }
        for (k, (worker, bell)) in workers.iter_mut().enumerate() {
            stages.push((format!("worker-{k}"), worker));
            crews.push(crew(std::mem::take(&mut stages), bell, cpus.of_worker(k).to_vec(), *busy_poll));
        }
        stages.push(("sequencer".into(), &mut sequencer.0));
        crews.push(crew(std::mem::take(&mut stages), &sequencer.1, others.clone(), Duration::ZERO));
        for (k, (writer, bell)) in writers.iter_mut().enumerate() {
            stages.push((format!("writer-{k}"), writer));
            crews.push(crew(std::mem::take(&mut stages), bell, others.clone(), Duration::ZERO));
        }
        crews
    }

    /// Runs everything on this thread, one step at a time, in an order drawn from `seed`. `between` is called before each step: the place to
    /// move a clock or to stop the run.
    pub fn run_seeded(
        mut self,
        seed: u64,
        mut between: impl FnMut(),
        mut on_segment: impl FnMut(SegmentBooks),
    ) -> Outcome {
        let start = self.clock.now_ns();
        let unread = self.unread.clone();
        let news = std::mem::replace(&mut self.news.1, mpsc::channel().1);
        let mut read = || {
            while let Ok(News::Segment(books)) = news.try_recv() {
                on_segment(*books);
                unread.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let mut crews = self.crews();
        let mut state = seed;
        while !crews.is_empty() {
            between();
            // Any generator serves; this one (Knuth's MMIX constants) is short and the same everywhere.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = (state >> 33) as usize % crews.len();
            if crews[pick].step() == Progress::Done {
                crews.swap_remove(pick);
            }
            read();
        }
        drop(crews);
        self.finish(start, Vec::new())
    }

    fn finish(mut self, start: u64, panics: Vec<String>) -> Outcome {
        let elapsed_ns = self.clock.now_ns() - start;
        let admitted = self.admission.0.report();
        let SequencerReport { totals: mut tally, closes, imbalance } = self.sequencer.0.report();
        // The two sides of the equation come from the two ends of the pipeline.
        tally.received = admitted.received;
        let mut storage = Storage::default();
        let mut latencies = Latencies::default();
        let mut streams = Vec::new();
        let mut losses: Vec<DeviceLoss> = Vec::new();
        let mut failures: Vec<Undecided> = Vec::new();
        for (worker, _) in &mut self.workers {
            let own = worker.latency();
            latencies.wait.merge(&own.wait);
            latencies.decide.merge(&own.decide);
            latencies.decision.merge(&own.decision);
            losses.extend_from_slice(worker.losses());
            failures.extend_from_slice(worker.failures());
        }
        failures.sort_by_key(|failure| (failure.run, failure.segment, failure.event_id));
        failures.sort_by_key(|failure| (failure.model, failure.rung));
        failures.dedup_by_key(|failure| (failure.model, failure.rung));
        losses.sort_by_key(|loss| (loss.run, loss.segment, loss.event_id));
        for (writer, _) in &mut self.writers {
            // After a panic what waits for it is stored, too. If it is the one that panicked, it may again.
            let _ = guarded(|| {
                while !panics.is_empty() && writer.step() == Progress::Worked {}
                writer.close();
            });
            let report = writer.report();
            storage.stored += report.storage.stored;
            storage.failed += report.storage.failed;
            latencies.store.merge(&report.latency);
            let (written, failed) = (report.written, report.failed);
            streams.push(StreamOutcome { written, failed, report: report.sink, error: report.error });
        }
        let segments = imbalance.map_or(Ok(()), Err);
        let balance = tally.balance().and_then(|()| storage.balance(&tally)).and(segments);
        let source_error = admitted.error;
        Outcome {
            tally,
            storage,
            balance,
            streams,
            closes,
            latencies,
            lag_ns: admitted.lag_ns,
            first_pass: admitted.first_pass,
            admitted_apart: self.admits_apart,
            losses,
            failures,
            source_error,
            panics,
            refused: None,
            elapsed_ns,
        }
    }
}

/// The writers, and the end of the first one's queue. Built from its end: the last one gives batches back to the pool.
fn chain(
    sinks: Vec<(String, Box<dyn Sink>)>,
    limits: Limits,
    pool: Sender<Outbound>,
    budget: &Arc<Budget>,
    clock: &Arc<dyn Clock>,
    control: &Arc<Control>,
) -> (Sender<Outbound>, Vec<(Writer, Arc<Bell>)>) {
    let (outputs, per_wake) = (limits.outbound_batches(sinks.len()), limits.outputs_per_wake(sinks.len()));
    let mut next = pool;
    let mut writers = Vec::new();
    // The last writer ends the way of a batch.
    let mut budget = Some(budget.clone());
    for (stream, (name, sink)) in sinks.into_iter().enumerate().rev() {
        let bell = Arc::<Bell>::default();
        let (sender, input) = queue(outputs, &[], &[&bell]);
        let sender = sender.patient(per_wake);
        writers.push((
            Writer::new((stream, name), sink, input, next, budget.take(), clock.clone(), control.clone()),
            bell,
        ));
        next = sender;
    }
    writers.reverse();
    (next, writers)
}

/// A queue that starts full of fresh batches.
fn pool<T>(count: usize, takers: &[&Arc<Bell>], fresh: impl Fn() -> T) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = queue(count, &[], takers);
    for _ in 0..count {
        assert!(sender.try_send(fresh()).is_ok(), "the queue is as long as the pool");
    }
    (sender, receiver)
}
