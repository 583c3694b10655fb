//! The shards of a distributed PostgreSQL.

use uuid::Uuid;

/// How the tables that grow with the fleet are divided: by the hash of the instance's id, into ranges of hashes. Rows of
/// one instance are on one shard, and tables that are co-located have the same ranges.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shards {
    /// Lowest hash of each shard, in ascending order; empty where the tables are not distributed.
    lowest: Vec<i32>,
}

impl Shards {
    /// Shards that begin with these hashes.
    pub(super) fn beginning_with(mut lowest: Vec<i32>) -> Self {
        lowest.sort_unstable();
        Self { lowest }
    }

    pub(super) fn are_distributed(&self) -> bool {
        !self.lowest.is_empty()
    }

    /// Number of the shard that has the rows of an instance.
    pub(super) fn of(&self, instance_id: Uuid) -> usize {
        if self.lowest.is_empty() {
            return 0;
        }
        let hash = hash_of(instance_id);
        self.lowest.partition_point(|lowest| *lowest <= hash).saturating_sub(1)
    }

    /// Divides what belongs to instances by their shards, and keeps the order within each. There is one part where the
    /// tables are not distributed.
    pub(super) fn divide<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        instance_id: impl Fn(&T) -> Uuid,
    ) -> Vec<Vec<T>> {
        let mut parts: Vec<Vec<T>> = Vec::new();
        parts.resize_with(self.lowest.len().max(1), Vec::new);
        for one in all {
            parts[self.of(instance_id(&one))].push(one);
        }
        parts.retain(|part| !part.is_empty());
        parts
    }
}

/// The hash of an id by which Citus divides: PostgreSQL's `uuid_hash`, which is Bob Jenkins' lookup3 over the 16 bytes.
fn hash_of(id: Uuid) -> i32 {
    let bytes = id.as_bytes();
    let word = |first: usize| {
        u32::from_le_bytes([bytes[first], bytes[first + 1], bytes[first + 2], bytes[first + 3]])
    };
    let start = 0x9e37_79b9_u32.wrapping_add(16).wrapping_add(3_923_095);
    let (mut a, mut b, mut c) =
        (start.wrapping_add(word(0)), start.wrapping_add(word(4)), start.wrapping_add(word(8)));
    // The first twelve bytes are mixed in,
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    // and the last four end it.
    a = a.wrapping_add(word(12));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    c.cast_signed()
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;

    use super::*;

    #[test]
    fn the_hash_is_that_of_postgresql() {
        let database = TestDatabase::new();
        let ids = [Uuid::nil(), Uuid::max(), Uuid::from_u128(1), Uuid::new_v4(), Uuid::new_v4()];
        for id in ids {
            let expected = database.query_one_text(&format!("select uuid_hash('{id}')"));
            assert_eq!(Some(hash_of(id).to_string()), expected, "{id}");
        }
    }

    #[test]
    fn what_belongs_to_instances_is_divided_by_the_ranges_of_their_hashes() {
        let ids: Vec<Uuid> = (0..1_000).map(Uuid::from_u128).collect();
        let one = Shards::default();
        assert_eq!(one.divide(ids.clone(), |id| *id), std::slice::from_ref(&ids));
        assert!(!one.are_distributed());
        assert!(one.divide(Vec::new(), |id| *id).is_empty());
        let quarters = Shards::beginning_with(vec![0, i32::MIN, 1 << 30, -(1 << 30)]);
        assert!(quarters.are_distributed());
        let parts = quarters.divide(ids.clone(), |id| *id);
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), ids.len());
        for (number, part) in parts.iter().enumerate() {
            assert!(part.len() > 150, "{} of 1000 in part {number}", part.len());
            assert!(part.is_sorted(), "the order is kept");
            let quarter = |id: &Uuid| (i64::from(hash_of(*id)) + (1 << 31)) >> 30;
            assert!(part.iter().all(|id| quarter(id) == number as i64));
        }
    }
}
