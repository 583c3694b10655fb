//! What waits to be stored, in a queue for each shard of the store: a transaction then writes to one shard alone, and a
//! shard that does not answer keeps out only its own instances. A store that is not divided has one queue.

use std::collections::VecDeque;

/// Most events of one transaction.
pub(super) const LARGEST_BATCH: usize = 512;

/// Number of waiting events from which a further transaction beside those under way is worth its cost.
const WORTH_ANOTHER: usize = 64;

/// The queues, by the numbers of the shards.
pub(super) struct Queues<T>(Vec<Queue<T>>);

struct Queue<T> {
    /// The oldest is in front.
    waiting: VecDeque<T>,
    /// Transactions that are under way.
    at_work: usize,
    /// The shard did not answer. It is not tried until the pause is over.
    is_pausing: bool,
    /// The last transaction failed.
    is_failing: bool,
    /// Nothing was said of the shard being well again since it failed.
    is_told: bool,
    /// Most events of the next transaction. After a failure on one of several shards it grows anew: a batch may have
    /// failed for some of its instances alone, such as new ones, for which all shards are asked.
    most: usize,
    /// Number of waiting events that are written one by one, after a batch was refused, to find the one that is to blame.
    one_by_one: usize,
    /// Number of batches that were taken from other queues while something waited here.
    passed_over: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            at_work: 0,
            is_pausing: false,
            is_failing: false,
            is_told: false,
            most: LARGEST_BATCH,
            one_by_one: 0,
            passed_over: 0,
        }
    }
}

impl<T> Queue<T> {
    fn may_begin(&self) -> bool {
        let enough = if self.at_work == 0 { 1 } else { WORTH_ANOTHER };
        !self.is_pausing && self.waiting.len() >= enough
    }

    /// The longest queue comes first, and a short one in the end, too.
    fn urgency(&self) -> usize {
        self.waiting.len().saturating_mul(self.passed_over + 1)
    }
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Queues<T> {
    pub(super) fn push(&mut self, shard: usize, one: T) {
        if shard >= self.0.len() {
            self.0.resize_with(shard + 1, Queue::default);
        }
        self.0[shard].waiting.push_back(one);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|queue| queue.waiting.is_empty())
    }

    /// Whether there is more than one, as far as something came for them.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Number of transactions that are under way.
    pub(super) fn at_work(&self) -> usize {
        self.0.iter().map(|queue| queue.at_work).sum()
    }

    /// Takes the next batch, and its shard, for one of `writers`. Shards that fail have one writer together, so that the
    /// others are left to the rest.
    pub(super) fn begin(&mut self, writers: usize) -> Option<(usize, Vec<T>)> {
        if self.at_work() >= writers {
            return None;
        }
        let is_tried = self.0.iter().any(|queue| queue.is_failing && queue.at_work > 0);
        let is_alone = !self.are_several();
        let fit = |queue: &Queue<T>| queue.may_begin() && (is_alone || !(queue.is_failing && is_tried));
        // Of queues that are as urgent, the first.
        let candidates = self.0.iter().enumerate().rev().filter(|(_, queue)| fit(queue));
        let (shard, _) = candidates.max_by_key(|(_, queue)| queue.urgency())?;
        for (other, queue) in self.0.iter_mut().enumerate() {
            let is_passed_over = other != shard && !queue.waiting.is_empty();
            queue.passed_over = if is_passed_over { queue.passed_over + 1 } else { 0 };
        }
        let queue = &mut self.0[shard];
        let size = if queue.one_by_one > 0 { 1 } else { queue.most.min(queue.waiting.len()) };
        queue.one_by_one = queue.one_by_one.saturating_sub(1);
        queue.at_work += 1;
        Some((shard, queue.waiting.drain(..size).collect()))
    }

    /// A batch is stored. Returns whether its shard is well again after a failure.
    pub(super) fn stored(&mut self, shard: usize) -> bool {
        let queue = self.end(shard);
        queue.is_failing = false;
        queue.most = (2 * queue.most).min(LARGEST_BATCH);
        queue.most == LARGEST_BATCH && std::mem::take(&mut queue.is_told)
    }

    /// One of a batch of one is given up.
    pub(super) fn given_up(&mut self, shard: usize) {
        self.end(shard);
    }

    /// A batch was refused: its events wait again, to be written one by one.
    pub(super) fn refused(&mut self, shard: usize, batch: Vec<T>) {
        let queue = self.end(shard);
        queue.one_by_one += batch.len();
        give_back(queue, batch.into_iter());
    }

    /// The store did not answer: the batch waits again, until [`resume`](Self::resume). Returns whether the shard is known to
    /// fail.
    pub(super) fn failed(&mut self, shard: usize, mut batch: Vec<T>) -> bool {
        let are_several = self.are_several();
        let queue = self.end(shard);
        if are_several {
            queue.most = 1;
        }
        match batch.pop() {
            // Others may succeed meanwhile.
            Some(one) if batch.is_empty() && are_several => queue.waiting.push_back(one),
            last => give_back(queue, batch.into_iter().chain(last)),
        }
        queue.is_pausing = true;
        queue.is_failing = true;
        std::mem::replace(&mut queue.is_told, true)
    }

    pub(super) fn resume(&mut self, shard: usize) {
        self.0[shard].is_pausing = false;
    }

    /// Takes those from the front of each queue that are too `late`.
    pub(super) fn take_late(&mut self, late: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for queue in &mut self.0 {
            let count = queue.waiting.iter().take_while(|one| late(one)).count();
            taken.extend(queue.waiting.drain(..count));
        }
        taken
    }

    /// Forgets what is under way: its transactions are dropped.
    pub(super) fn restart(&mut self) {
        for queue in &mut self.0 {
            (queue.at_work, queue.is_pausing, queue.one_by_one) = (0, false, 0);
        }
    }

    /// Ends a transaction of a shard.
    fn end(&mut self, shard: usize) -> &mut Queue<T> {
        let queue = &mut self.0[shard];
        queue.at_work = queue.at_work.saturating_sub(1);
        queue
    }
}

fn give_back<T>(queue: &mut Queue<T>, batch: impl DoubleEndedIterator<Item = T>) {
    batch.rev().for_each(|one| queue.waiting.push_front(one));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(counts: &[(usize, usize)]) -> Queues<usize> {
        let mut queues = Queues::default();
        for (shard, count) in counts {
            (0..*count).for_each(|number| queues.push(*shard, number));
        }
        queues
    }

    fn sizes(queues: &mut Queues<usize>, writers: usize) -> Vec<(usize, usize)> {
        std::iter::from_fn(|| queues.begin(writers)).map(|(shard, batch)| (shard, batch.len())).collect()
    }

    #[test]
    fn what_comes_first_is_written_at_once_and_more_beside_it_only_if_it_is_worth_it() {
        assert_eq!(sizes(&mut queues(&[(0, 1)]), 3), [(0, 1)]);
        let mut one = queues(&[(0, LARGEST_BATCH + WORTH_ANOTHER - 1)]);
        assert_eq!(sizes(&mut one, 3), [(0, LARGEST_BATCH)]);
        one.push(0, 0);
        assert_eq!(sizes(&mut one, 3), [(0, WORTH_ANOTHER)]);
        let mut long = queues(&[(0, 5 * LARGEST_BATCH)]);
        assert_eq!(sizes(&mut long, 3), [(0, LARGEST_BATCH); 3]);
        assert_eq!((long.at_work(), long.is_empty()), (3, false));
    }

    #[test]
    fn a_batch_is_of_one_shard_and_writers_take_the_longest_queue() {
        let mut queues = queues(&[(1, 5), (2, 9), (3, 7), (4, 1)]);
        assert_eq!(sizes(&mut queues, 3), [(2, 9), (3, 7), (1, 5)]);
        assert!(!queues.stored(2), "it did not fail before");
        assert_eq!(sizes(&mut queues, 3), [(4, 1)]);
    }

    #[test]
    fn a_short_queue_is_not_passed_over_for_ever() {
        let mut queues = queues(&[(7, 1)]);
        for turn in 0.. {
            assert!(turn < 20, "it is passed over");
            (0..10).for_each(|number| queues.push(1, number));
            let (shard, _) = queues.begin(1).unwrap();
            queues.stored(shard);
            if shard == 7 {
                break;
            }
        }
    }

    #[test]
    fn shards_that_fail_wait_and_leave_all_writers_but_one_to_the_others() {
        let mut queues = queues(&[(1, 200), (2, 200), (3, 1)]);
        for _ in 0..2 {
            let (shard, batch) = queues.begin(3).unwrap();
            assert!(shard < 3 && !queues.failed(shard, batch));
        }
        assert_eq!(sizes(&mut queues, 3), [(3, 1)], "the others pause");
        queues.stored(3);
        [1, 2].iter().for_each(|shard| queues.resume(*shard));
        let (shard, batch) = queues.begin(3).unwrap();
        assert_eq!((&batch[..], queues.begin(3)), (&[0][..], None), "one of them is tried, with one event");
        (0..100).for_each(|number| queues.push(3, number));
        assert_eq!(sizes(&mut queues, 3), [(3, 100)]);
        assert!(queues.failed(shard, batch), "it is known to fail");
    }

    #[test]
    fn an_event_that_fails_alone_leaves_its_shard_to_the_others() {
        let mut queues = queues(&[(0, 40), (1, 1)]);
        let (mut stored, mut failures) = (Vec::new(), 0);
        while stored.len() < 40 {
            let (shard, batch) = queues.begin(1).unwrap();
            if shard == 0 && batch.contains(&20) {
                assert_eq!(queues.failed(shard, batch), failures > 0, "it is told once");
                queues.resume(shard);
                failures += 1;
            } else {
                assert!(!queues.stored(shard), "it is not well again");
                stored.extend(batch);
            }
            assert!(failures < 16, "{stored:?}");
        }
    }

    #[test]
    fn a_shard_that_answers_again_is_well_when_it_takes_whole_batches() {
        let mut queues = queues(&[(1, 1)]);
        queues.push(0, 0);
        let (_, batch) = queues.begin(1).unwrap();
        assert!(!queues.failed(0, batch));
        queues.resume(0);
        for turn in 0..9 {
            (0..LARGEST_BATCH).for_each(|number| queues.push(0, number));
            let (shard, batch) = queues.begin(1).unwrap();
            assert_eq!((shard, batch.len()), (0, 1 << turn));
            assert_eq!(queues.stored(0), turn == 8);
        }
    }

    #[test]
    fn a_store_that_is_not_divided_is_tried_by_all_writers() {
        let mut queues = queues(&[(0, 2 * LARGEST_BATCH)]);
        let (_, batch) = queues.begin(3).unwrap();
        queues.failed(0, batch);
        assert_eq!(sizes(&mut queues, 3), []);
        queues.resume(0);
        assert_eq!(sizes(&mut queues, 3), [(0, LARGEST_BATCH); 2]);
    }

    #[test]
    fn a_batch_that_was_refused_is_written_one_by_one() {
        let mut queues = queues(&[(0, 3)]);
        let (_, batch) = queues.begin(1).unwrap();
        queues.refused(0, batch);
        (3..8).for_each(|number| queues.push(0, number));
        for number in 0..3 {
            assert_eq!(queues.begin(1), Some((0, vec![number])));
            queues.given_up(0);
        }
        assert_eq!(sizes(&mut queues, 3), [(0, 5)]);
    }

    #[test]
    fn those_that_are_late_are_taken_from_the_front_of_each_queue() {
        let mut queues = queues(&[(1, 3), (2, 1)]);
        assert_eq!(queues.take_late(|number| *number < 2), [0, 1, 0]);
        let (shard, batch) = queues.begin(3).unwrap();
        assert_eq!((shard, batch, queues.at_work()), (1, vec![2], 1));
        queues.restart();
        assert_eq!(queues.at_work(), 0);
    }
}
