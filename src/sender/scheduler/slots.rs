//! The slots of the scheduler: when they come, and what becomes of one that fell due.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::{SchedulerActor, Stage};
use crate::sender::heartbeat::ONE_MINUTE;
use crate::sender::slot::{SlotState, next_slot, slot_state};
use crate::wire::payload::Reason;

impl SchedulerActor {
    /// Computes the next slot of each destination, and sets a timer for the first.
    pub(super) fn plan(&mut self, ctx: &mut Context<Self>) {
        let Some(instance_id) = self.instance_id.filter(|_| self.stage == Stage::Begun) else { return };
        let now = self.clock.now();
        for destination in &mut self.destinations {
            let slot = next_slot(now, instance_id, destination.frequency);
            destination.next_slot = Some(slot);
            self.board.update_destination(destination.name, |status| status.next_slot = Some(slot));
        }
        self.wake_in_time(ctx);
    }

    /// Sets a timer for a slot that comes before the next tick.
    fn wake_in_time(&self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let soonest = self.destinations.iter().filter_map(|destination| destination.next_slot).min();
        let remaining = soonest.map(|slot| slot.duration_since(now).unwrap_or_default());
        if let Some(remaining) = remaining.filter(|remaining| *remaining <= ONE_MINUTE) {
            ctx.run_later(remaining, |actor, ctx| actor.look(ctx));
        }
    }

    /// Looks at the clock: sends what is due, and computes the slots again after a jump of the clock.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
        if self.stage != Stage::Begun {
            return;
        }
        let now = self.clock.now();
        let states: Vec<SlotState> = self
            .destinations
            .iter()
            .map(|destination| slot_state(now, destination.next_slot, destination.frequency))
            .collect();
        match states.iter().all(|state| *state == SlotState::Ahead) {
            true => self.wake_in_time(ctx),
            false => self.plan(ctx),
        }
        let due: Vec<usize> = (0..states.len()).filter(|index| states[*index] == SlotState::Due).collect();
        if !due.is_empty() {
            let identified = self.identify().into_actor(self);
            ctx.spawn(identified.map(move |id, actor, ctx| {
                actor.learn(id, ctx);
                actor.use_slots(&due, ctx);
            }));
        }
    }

    /// Hands the destinations that are `due` an `update`, except those that accepted another event within a
    /// minute.
    pub(super) fn use_slots(&mut self, due: &[usize], ctx: &mut Context<Self>) {
        if self.stage != Stage::Begun {
            return;
        }
        let now = (self.clock.now(), self.clock.monotonic());
        for &index in due {
            if self.destinations[index].uses_slot(now) {
                self.deliver(index, Reason::Update, ctx);
            }
        }
    }
}
