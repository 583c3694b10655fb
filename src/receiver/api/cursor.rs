//! Where a page of a list goes on, as text that means nothing to others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use uuid::Uuid;

use crate::receiver::store::{EventCursor, InstanceCursor, State};

pub(crate) trait Cursor: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.to_bytes())
    }

    fn decode(text: &str) -> Option<Self> {
        Self::from_bytes(&URL_SAFE_NO_PAD.decode(text).ok()?)
    }
}

impl Cursor for InstanceCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.state.rank() as u8];
        bytes.extend(self.state_since.as_microsecond().to_be_bytes());
        bytes.extend(self.instance_id.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (rank, rest) = bytes.split_first()?;
        let (state_since, instance_id) = rest.split_first_chunk()?;
        Some(Self {
            state: State::of_rank(i16::from(*rank))?,
            state_since: moment(*state_since)?,
            instance_id: Uuid::from_slice(instance_id).ok()?,
        })
    }
}

impl Cursor for EventCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.received_at.as_microsecond().to_be_bytes().to_vec();
        bytes.extend(self.instance_id.as_bytes());
        bytes.extend(self.id.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (received_at, rest) = bytes.split_first_chunk()?;
        let (instance_id, id) = rest.split_first_chunk::<16>()?;
        Some(Self {
            received_at: moment(*received_at)?,
            instance_id: Uuid::from_bytes(*instance_id),
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

/// None before 1970: no store was asked to keep one.
fn moment(bytes: [u8; 8]) -> Option<Timestamp> {
    let microseconds = i64::from_be_bytes(bytes);
    (microseconds >= 0).then(|| Timestamp::from_microsecond(microseconds).ok())?
}

/// Rows of a page and where the next one begins, of what was asked for with one row more than fits.
pub(crate) fn page<Row, C: Cursor>(
    mut rows: Vec<Row>,
    limit: i64,
    cursor: impl FnOnce(&Row) -> C,
) -> (Vec<Row>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or_default();
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|last| cursor(last).encode());
    (rows, next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(
            rank in 0_i16..4, at in 0_i64..250_000_000_000_000_000, a in any::<u128>(), b in any::<u128>(),
        ) {
            let at = Timestamp::from_microsecond(at).unwrap();
            let instance = InstanceCursor {
                state: State::of_rank(rank).unwrap(),
                state_since: at,
                instance_id: Uuid::from_u128(a),
            };
            prop_assert_eq!(InstanceCursor::decode(&instance.encode()), Some(instance));
            let event = EventCursor {
                received_at: at,
                instance_id: Uuid::from_u128(a),
                id: Uuid::from_u128(b),
            };
            prop_assert_eq!(EventCursor::decode(&event.encode()), Some(event));
        }

        #[test]
        fn a_broken_cursor_is_none(text in "[A-Za-z0-9_=%-]{0,60}") {
            // Whatever is read is written the same: there is one text for a cursor.
            if let Some(read) = InstanceCursor::decode(&text) {
                prop_assert_eq!(read.encode(), text.clone());
            }
            if let Some(read) = EventCursor::decode(&text) {
                prop_assert_eq!(read.encode(), text);
            }
        }
    }

    #[test]
    fn a_cursor_of_a_time_that_no_store_keeps_is_none() {
        let mut bytes = vec![0; 25];
        assert!(InstanceCursor::from_bytes(&bytes).is_some());
        bytes[1] = 0xff;
        assert!(InstanceCursor::from_bytes(&bytes).is_none());
        bytes[1] = 0x7f;
        assert!(InstanceCursor::from_bytes(&bytes).is_none());
        assert!(InstanceCursor::decode("").is_none() && EventCursor::decode("").is_none());
    }

    #[test]
    fn the_last_page_names_no_next() {
        let cursor = |row: &u128| EventCursor {
            received_at: Timestamp::UNIX_EPOCH,
            instance_id: Uuid::nil(),
            id: Uuid::from_u128(*row),
        };
        assert_eq!(page(vec![1, 2], 2, cursor), (vec![1, 2], None));
        assert_eq!(page(vec![1, 2, 3], 2, cursor), (vec![1, 2], Some(cursor(&2).encode())));
        assert_eq!(page(Vec::new(), 2, cursor), (Vec::new(), None));
    }
}
