//! The selection of instances in SQL, and the orders of a list of them.

use super::builder::QueryBuilder;
use super::rows::{Id, Time};
use crate::receiver::store::filter::{hashes_beginning_with, ids_beginning_with};
use crate::receiver::store::{InstanceCursor, InstanceFilter, Sort};

/// The index that a list is read from. Alone it is enough to find the instances of most filters, in any order.
pub(super) fn index(filter: &InstanceFilter) -> &'static str {
    match filter {
        InstanceFilter { license_hash: Some(_), .. } => "telemetry_instance_of_license",
        _ => "telemetry_instance_worst",
    }
}

/// Adds the conditions of a filter to a query from `telemetry_instance`.
pub(super) fn narrow(query: &mut QueryBuilder, filter: &InstanceFilter) {
    if !filter.ids.is_empty() {
        let ids: Vec<String> = filter.ids.iter().map(|id| query.parameter(Id(*id))).collect();
        query.add(&format!(" and instance_id in ({})", ids.join(", ")));
    }
    if !filter.states.is_empty() {
        query.add(&format!(" and state_rank in ({})", filter.ranks()));
    }
    if !filter.licenses.is_empty() {
        let licenses: Vec<String> =
            filter.licenses.iter().map(|license| license.rank().to_string()).collect();
        query.add(&format!(" and license in ({})", licenses.join(", ")));
    }
    if let Some(beginning) = &filter.license_hash {
        let (first, last) = hashes_beginning_with(beginning);
        let (first, last) = (query.parameter(first), query.parameter(last));
        query.add(&format!(" and license_key_hash >= {first} and license_key_hash <= {last}"));
    }
    query.narrow("build_version = ", filter.build_version.clone());
    query.narrow("build_os || '/' || build_arch = ", filter.system.clone());
    query.narrow("key_id = ", filter.key_id.map(Id));
    query.narrow("product = ", filter.product.clone());
    query.narrow("release = ", filter.release.clone());
    // Empty until the next judgement, where an earlier version of the receiver stored it.
    query.narrow("release_key > '' and release_key < ", filter.older_than.clone());
    query.narrow("crashed = ", filter.crashed);
    query.narrow("several_runs = ", filter.several_runs);
    query.narrow("cloned = ", filter.cloned);
    query.narrow("restarting = ", filter.restarting);
    query.narrow("first_seen_at > ", filter.first_seen_after.map(Time));
    query.narrow("last_seen_at < ", filter.last_seen_before.map(Time));
    if let Some(search) = &filter.search {
        let contained = query.parameter(search.to_lowercase());
        query.add(&format!(" and (instr(searched, {contained}) > 0"));
        if let Some((first, last)) = ids_beginning_with(search) {
            let (first, last) = (query.parameter(Id(first)), query.parameter(Id(last)));
            query.add(&format!(" or instance_id between {first} and {last}"));
        }
        query.add(")");
    }
    if let Some(filters) = &filter.any_of {
        query.add(" and ");
        any_of(query, filters);
    }
}

/// Adds that one of the filters matches. SQLite limits the depth of an expression, hence by halves.
fn any_of(query: &mut QueryBuilder, filters: &[InstanceFilter]) {
    match filters {
        [] => query.add("false"),
        [filter] => {
            query.add("(true");
            narrow(query, filter);
            query.add(")");
        }
        filters => {
            let (some, others) = filters.split_at(filters.len() / 2);
            query.add("(");
            any_of(query, some);
            query.add(" or ");
            any_of(query, others);
            query.add(")");
        }
    }
}

/// What a list is ordered by.
pub(super) fn order(sort: Sort) -> &'static str {
    match sort {
        Sort::Worst => "state_rank, state_since desc, instance_id",
        Sort::Silent => "state_rank, state_since, instance_id desc",
        Sort::Name => "searched is null, searched, instance_id",
        Sort::Version => "release_key, instance_id",
        Sort::FirstSeen => "first_seen_at desc, instance_id desc",
    }
}

/// Adds the condition that an instance comes after the last one of the page before.
pub(super) fn begin_after(query: &mut QueryBuilder, after: &InstanceCursor) {
    match after {
        InstanceCursor::Worst(state, since, id) => {
            let rank = state.rank();
            let (since, id) = (query.parameter(Time(*since)), query.parameter(Id(*id)));
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since < {since}
                  or (state_since = {since} and instance_id > {id}))"
            ));
        }
        InstanceCursor::Silent(state, since, id) => {
            let rank = state.rank();
            let (since, id) = (query.parameter(Time(*since)), query.parameter(Id(*id)));
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since > {since}
                  or (state_since = {since} and instance_id < {id}))"
            ));
        }
        InstanceCursor::Name(Some(name), id) => {
            let (name, id) = (query.parameter(name.clone()), query.parameter(Id(*id)));
            query.add(&format!(" and (searched is null or (searched, instance_id) > ({name}, {id}))"));
        }
        InstanceCursor::Name(None, id) => {
            let id = query.parameter(Id(*id));
            query.add(&format!(" and searched is null and instance_id > {id}"));
        }
        InstanceCursor::Version(key, id) => {
            let (key, id) = (query.parameter(key.clone()), query.parameter(Id(*id)));
            query.add(&format!(" and (release_key, instance_id) > ({key}, {id})"));
        }
        InstanceCursor::FirstSeen(at, id) => {
            let (at, id) = (query.parameter(Time(*at)), query.parameter(Id(*id)));
            query.add(&format!(" and (first_seen_at, instance_id) < ({at}, {id})"));
        }
    }
}
