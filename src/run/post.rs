//! The capture's side of the spools: each record goes into all of them. Nothing here waits for a receiver.

use super::Failure;
use super::delivery::{Delivery, Score};
use super::waiting::{Rank, WAITING_OCTETS, Waiting};
use crate::ops::sandbox::Needs;
use crate::ops::{console, folder_of};
use crate::sink::spool::{Put, Spool, Worth};
use crate::sink::{Fsync, Reach, Receiver};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two syncs of a spool that is synced by the clock.
const SYNC_EVERY: Duration = Duration::from_millis(500);

/// Between two attempts to put into the spool what waits for the disk.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// All receivers of a run, before and while they run.
#[derive(Default)]
pub(super) struct Posts {
    posts: Vec<Post>,
    threads: Vec<(String, JoinHandle<()>)>,
}

struct Post {
    spool: Spool,
    fsync: Fsync,
    synced: Instant,
    /// Records that the disk did not take into the spool.
    waiting: Waiting,
    tried: Instant,
    score: Arc<Score>,
    reach: Reach,
    /// What runs once the sandbox stands.
    delivery: Option<Delivery>,
}

impl Posts {
    /// Opens the spools. Nothing is sent yet.
    pub(super) fn open(receivers: Vec<Receiver>) -> Result<Self, Failure> {
        let mut posts = Vec::new();
        for mut receiver in receivers {
            let failed = |why| Failure::output(format!("sink {}: {why}", receiver.name));
            receiver.transport.prepare().map_err(failed)?;
            let folder = receiver.spool.folder.clone();
            let failed = |error| Failure::output(format!("spool {}: {error}", folder.display()));
            let spool = Spool::open(receiver.spool.clone()).map_err(failed)?;
            let counts = spool.counts();
            if counts.torn > 0 {
                console::warning(&format!(
                    "sink {}: the spool's last record was not whole, as after a crash, and was cut away",
                    receiver.name
                ));
            }
            if counts.records > 0 {
                let records = crate::ops::counted(counts.records, "record");
                console::info(&format!("sink {}: {records} of earlier runs wait to be delivered", receiver.name));
            }
            if let Some(caveat) = receiver.caveat {
                console::warning(&format!("sink {}: {caveat}", receiver.name));
            }
            let score = Arc::new(Score::new(&receiver));
            posts.push(Post {
                fsync: receiver.fsync,
                reach: reach(&mut receiver),
                synced: Instant::now(),
                waiting: Waiting::new(WAITING_OCTETS),
                tried: Instant::now(),
                delivery: Some(Delivery::new(receiver, spool.clone(), Arc::clone(&score))),
                score,
                spool,
            });
        }
        Ok(Self { posts, threads: Vec::new() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// Of each.
    pub(super) fn scores(&self) -> Vec<Arc<Score>> {
        self.posts.iter().map(|post| Arc::clone(&post.score)).collect()
    }

    /// What the sandbox must leave them.
    pub(super) fn add_to(&self, needs: &mut Needs) {
        for Post { score, reach, .. } in &self.posts {
            needs.folders.push(score.folder.clone());
            needs.owned.push(score.folder.clone());
            needs.connects.extend(&reach.tcp);
            needs.sends_datagrams |= reach.is_udp;
            if reach.looks_up_names {
                needs.look_up_names();
            }
            needs.read.extend(reach.read.iter().cloned());
            reach.files.iter().for_each(|file| needs.keep_writing(file));
        }
    }

    /// Begins to deliver, each by a thread of its own.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        for post in &mut self.posts {
            if let Some(delivery) = post.delivery.take() {
                let name = format!("sink-{}", delivery.name());
                self.threads.push((name.clone(), super::spawn(&name, move || delivery.run())?));
            }
        }
        Ok(())
    }

    /// Puts a record into each spool. `line`: with its line feed.
    pub(super) fn put(&mut self, rank: Rank, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.posts.iter_mut().for_each(|post| post.put(rank, line));
    }

    /// A batch of records is in.
    pub(super) fn flush(&mut self) {
        self.posts.iter_mut().for_each(Post::flush);
    }

    /// Does what is due: to be called each second or so.
    #[cfg(feature = "live")]
    pub(super) fn tick(&mut self) {
        self.posts.iter_mut().for_each(Post::tick);
    }

    /// Nothing more comes: waits until all is delivered, or nothing was for so long. Gives a line for each receiver that
    /// did not get all.
    pub(super) fn finish(&mut self, patience: Duration) -> Result<Vec<String>, Failure> {
        for post in &mut self.posts {
            post.tried = Instant::now() - TRY_EVERY;
            post.tick();
            post.spool.close();
        }
        let mut progressed = (Instant::now(), self.settled());
        while !self.threads.iter().all(|(_, thread)| thread.is_finished()) {
            let settled = self.settled();
            if settled != progressed.1 {
                progressed = (Instant::now(), settled);
            }
            if progressed.0.elapsed() >= patience {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for (name, thread) in self.threads.drain(..).filter(|(_, thread)| thread.is_finished()) {
            thread.join().map_err(|_| Failure::fault(&name))?;
        }
        self.posts.iter().for_each(|post| drop(post.spool.sync()));
        Ok(self.posts.iter().filter_map(Post::shortfall).collect())
    }

    fn settled(&self) -> u64 {
        self.posts.iter().map(|post| post.score.settled()).sum()
    }
}

impl Post {
    fn put(&mut self, rank: Rank, line: &[u8]) {
        if !self.waiting.is_empty() {
            self.waiting.push(rank, line);
            return self.note_waiting();
        }
        match self.spool.put(worth(rank), line) {
            Ok(Put::Kept) => {}
            Ok(Put::Dropped) => self.score.note_dropped(),
            Err(error) => {
                console::warning(&format!(
                    "sink {}: the disk does not take records into the spool ({error}); they wait in memory, up to {} MiB",
                    self.score.name,
                    WAITING_OCTETS >> 20
                ));
                self.tried = Instant::now();
                self.waiting.push(rank, line);
                self.note_waiting();
            }
        }
    }

    fn flush(&mut self) {
        let is_due = match self.fsync {
            Fsync::Batch => true,
            Fsync::Interval => self.synced.elapsed() >= SYNC_EVERY,
            Fsync::Never => false,
        };
        if is_due {
            self.synced = Instant::now();
            if let Err(error) = self.spool.sync() {
                self.score.trouble(&format!("syncing the spool: {error}"));
            }
        }
        self.score.note(self.spool.counts());
    }

    fn tick(&mut self) {
        if !self.waiting.is_empty() && self.tried.elapsed() >= TRY_EVERY {
            self.tried = Instant::now();
            while let Some(waiter) = self.waiting.pop() {
                match self.spool.put(worth(waiter.rank()), &waiter.line) {
                    Ok(Put::Kept) => {}
                    Ok(Put::Dropped) => self.score.note_dropped(),
                    Err(_) => {
                        self.waiting.put_back(waiter);
                        break;
                    }
                }
            }
            if self.waiting.is_empty() {
                let lost: u64 = self.waiting.lost().iter().sum();
                let lost = if lost == 0 { "none lost".to_owned() } else { format!("{lost} lost since the start") };
                console::notice(&format!(
                    "sink {}: the disk takes records into the spool again, {lost}",
                    self.score.name
                ));
            }
            self.note_waiting();
        }
        self.flush();
    }

    fn note_waiting(&self) {
        self.score.note_outside(self.waiting.len() as u64, self.waiting.lost().iter().sum());
    }

    /// What did not arrive, if anything.
    fn shortfall(&self) -> Option<String> {
        let counts = self.spool.counts();
        let (waiting, lost) = (counts.records, self.score.lost(counts));
        let (folder, refused) = (self.score.folder.display(), self.score.refused());
        match (waiting, lost) {
            (0, 0) if refused > 0 => Some(format!(
                "sink {}: {} refused for good; {folder} keeps what was, with the reasons",
                self.score.name,
                crate::ops::counted(refused, "record")
            )),
            (0, 0) => None,
            (waiting, 0) => Some(format!(
                "sink {}: {} not delivered yet ({}); the next run sends what waits in {folder}",
                self.score.name,
                crate::ops::counted(waiting, "record"),
                self.score.why()
            )),
            (waiting, lost) => Some(format!(
                "sink {}: {} lost for want of room, and {waiting} not delivered yet ({})",
                self.score.name,
                crate::ops::counted(lost, "record"),
                self.score.why()
            )),
        }
    }
}

/// What it needs, with the folders of the files that are read anew, so that a new file in the place of the old is found.
fn reach(receiver: &mut Receiver) -> Reach {
    let mut reach = std::mem::take(&mut receiver.reach);
    if let Some(papers) = receiver.transport.papers() {
        reach.read.extend(papers.files().map(|file| folder_of(file).to_owned()));
    }
    reach
}

fn worth(rank: Rank) -> Worth {
    match rank {
        Rank::Session => Worth::Least,
        Rank::Login => Worth::Less,
        Rank::Finding => Worth::Most,
    }
}
