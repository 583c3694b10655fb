//! The scenarios by themselves, and the receiver's judgement of them.

use deployment_telemetry::receiver::{PostgresFleetStore, SqliteFleetStore};
use simulator::scenarios::{Scenario, Story, Truth, stories};
use simulator::trial::{self, Outcome};
use tempfile::TempDir;
use test_support::TestDatabase;

/// The stories of 20 seeds. The program plays any number of seeds.
fn some_stories() -> Vec<Story> {
    (1..21).flat_map(stories).collect()
}

#[track_caller]
fn assert_true(outcome: &Outcome) {
    let wrong: Vec<String> = outcome.differences.iter().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{outcome}\n{}", wrong.join("\n"));
    assert!(outcome.events > 3000 && outcome.instances.len() == Scenario::ALL.len(), "{outcome:?}");
}

#[actix_web::test]
async fn the_receiver_says_the_truth_of_all_scenarios_on_sqlite() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("fleet.sqlite");
    assert_true(&trial::play(|| SqliteFleetStore::new(&file).into(), &some_stories()).await.unwrap());
}

#[actix_web::test]
async fn the_receiver_says_the_truth_of_all_scenarios_on_postgresql() {
    let database = TestDatabase::new();
    let open = || PostgresFleetStore::from_url(database.url()).unwrap().into();
    assert_true(&trial::play(open, &some_stories()).await.unwrap());
}

#[actix_web::test]
async fn a_key_cannot_make_any_number_of_new_instances() {
    let directory = TempDir::new().unwrap();
    let store = SqliteFleetStore::new(directory.path().join("fleet.sqlite"));
    let problem = trial::flood(store.into(), 1).await.unwrap();
    assert_eq!(problem, None);
}

#[test]
fn the_same_seed_gives_the_same_stories_and_another_seed_others() {
    assert_eq!(stories(1), stories(1));
    assert_ne!(stories(1), stories(2));
}

#[test]
fn nothing_bad_is_true_of_ordinary_deployments() {
    for seed in 0..30 {
        for story in stories(seed).iter().filter(|story| story.scenario.is_ordinary()) {
            let truth = Truth::of(story);
            assert!(truth.losses().is_empty(), "{story:?}");
            for now in truth.moments() {
                let expected = truth.at(now).unwrap();
                let is_good =
                    expected.heard.losses == 0 && !expected.cloned && expected.restarting == Some(false);
                assert!(is_good, "{story:?} at {now}: {expected:?}");
                assert!(
                    ["up", "ended"].contains(&expected.heard.state.as_str()),
                    "{story:?} at {now}: {expected:?}"
                );
            }
        }
    }
}

#[test]
fn what_each_failing_scenario_is_about_is_true_of_it() {
    for seed in 0..30 {
        for story in stories(seed) {
            let truth = Truth::of(&story);
            let states: Vec<&str> = truth.states().into_iter().map(|state| state.as_str()).collect();
            let end = truth.at(story.horizon).unwrap();
            let losses = truth.losses().len();
            let holds = match story.scenario {
                Scenario::SingleCrash => losses == 1 && end.heard.losses == 0 && states == ["up"],
                Scenario::SingleDeath | Scenario::AllDie | Scenario::Jobs => states == ["up", "late", "down"],
                Scenario::ReplicaDies => losses == 1 && end.heard.losses == 1 && states == ["up"],
                Scenario::DeathBehindAnEnd => losses == 1 && states == ["up", "ended"],
                Scenario::AllDieAndReturn => losses > 0 && states.last() == Some(&"up"),
                Scenario::CrashLoop | Scenario::FastCrashLoop | Scenario::LongCrashLoop => {
                    losses >= 7 && end.restarting.is_some()
                }
                Scenario::Snapshot | Scenario::MemoryClone => end.cloned && losses == 0,
                Scenario::DiskClone => end.heard.several_runs && losses == 0,
                Scenario::HostileKey => states == ["up"] && losses == 0,
                Scenario::WrongClock => states == ["up", "ended"],
                _ => true,
            };
            assert!(holds, "seed {seed}, {}: {states:?}, {losses} losses, {end:?}", story.scenario.as_str());
        }
    }
}
