//! Where a page of a list goes on, as text that means nothing to others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use uuid::Uuid;

use crate::receiver::store::{Change, ChangeCursor, EventCursor, InstanceCursor, Sort, State};

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

/// The first byte says of which order it is the place of an instance.
impl Cursor for InstanceCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.sort() as u8];
        match self {
            Self::Worst(state, since, id) | Self::Silent(state, since, id) => {
                bytes.push(state.rank() as u8);
                bytes.extend(since.as_microsecond().to_be_bytes());
                bytes.extend(id.as_bytes());
            }
            Self::Name(name, id) => {
                bytes.push(name.is_some().into());
                bytes.extend(id.as_bytes());
                bytes.extend(name.as_deref().unwrap_or_default().as_bytes());
            }
            Self::Version(key, id) => {
                bytes.extend(id.as_bytes());
                bytes.extend(key.as_bytes());
            }
            Self::FirstSeen(at, id) => {
                bytes.extend(at.as_microsecond().to_be_bytes());
                bytes.extend(id.as_bytes());
            }
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sort, rest) = bytes.split_first()?;
        Some(match Sort::ALL.into_iter().find(|known| *known as u8 == *sort)? {
            Sort::Worst => {
                let (state, since, id) = place_in_state(rest)?;
                Self::Worst(state, since, id)
            }
            Sort::Silent => {
                let (state, since, id) = place_in_state(rest)?;
                Self::Silent(state, since, id)
            }
            Sort::Name => {
                let (is_named, rest) = rest.split_first()?;
                let (id, name) = rest.split_first_chunk()?;
                let name = match is_named {
                    0 => name.is_empty().then_some(None)?,
                    1 => Some(text(name)?),
                    _ => return None,
                };
                Self::Name(name, Uuid::from_bytes(*id))
            }
            Sort::Version => {
                let (id, key) = rest.split_first_chunk()?;
                Self::Version(text(key)?, Uuid::from_bytes(*id))
            }
            Sort::FirstSeen => {
                let (at, id) = rest.split_first_chunk()?;
                Self::FirstSeen(moment(*at)?, Uuid::from_slice(id).ok()?)
            }
        })
    }
}

fn place_in_state(bytes: &[u8]) -> Option<(State, Timestamp, Uuid)> {
    let (rank, rest) = bytes.split_first()?;
    let (since, id) = rest.split_first_chunk()?;
    Some((State::of_rank(i16::from(*rank))?, moment(*since)?, Uuid::from_slice(id).ok()?))
}

/// No text that is stored has U+0000.
fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).map(str::to_owned)
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

/// The byte after the time and the id says which change it is.
impl Cursor for ChangeCursor {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.at.as_microsecond().to_be_bytes().to_vec();
        bytes.extend(self.instance_id.as_bytes());
        bytes.push(self.change as u8);
        bytes.extend(self.to.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at, rest) = bytes.split_first_chunk()?;
        let (instance_id, rest) = rest.split_first_chunk()?;
        let (change, to) = rest.split_first()?;
        Some(Self {
            at: moment(*at)?,
            instance_id: Uuid::from_bytes(*instance_id),
            change: Change::ALL.into_iter().find(|known| *known as u8 == *change)?,
            to: text(to)?,
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
            name in prop::option::of("[^\\x00]{0,20}"), key in "[^\\x00]{0,20}",
        ) {
            let at = Timestamp::from_microsecond(at).unwrap();
            let (state, id) = (State::of_rank(rank).unwrap(), Uuid::from_u128(a));
            for instance in [
                InstanceCursor::Worst(state, at, id),
                InstanceCursor::Silent(state, at, id),
                InstanceCursor::Name(name, id),
                InstanceCursor::Version(key.clone(), id),
                InstanceCursor::FirstSeen(at, id),
            ] {
                prop_assert_eq!(InstanceCursor::decode(&instance.encode()), Some(instance));
            }
            let change = ChangeCursor { at, instance_id: id, change: Change::ALL[rank as usize * 2], to: key };
            prop_assert_eq!(ChangeCursor::decode(&change.encode()), Some(change));
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
            if let Some(read) = ChangeCursor::decode(&text) {
                prop_assert_eq!(read.encode(), text.clone());
            }
            if let Some(read) = EventCursor::decode(&text) {
                prop_assert_eq!(read.encode(), text);
            }
        }
    }

    #[test]
    fn a_cursor_of_a_time_that_no_store_keeps_is_none() {
        let mut bytes = vec![0; 26];
        assert!(InstanceCursor::from_bytes(&bytes).is_some());
        bytes[2] = 0xff;
        assert!(InstanceCursor::from_bytes(&bytes).is_none());
        bytes[2] = 0x7f;
        assert!(InstanceCursor::from_bytes(&bytes).is_none());
        assert!(InstanceCursor::decode("").is_none() && EventCursor::decode("").is_none());
        assert!(ChangeCursor::decode("").is_none());
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
