//! Transfers: a REFER to the far side, and NOTIFYs about its progress to the side that asked for it.

use crate::signaling::{CallId, EventBody, ReferId, SubscriptionState, response_code, sip_status};

use super::leg::{LegState, Seat};
use super::{Answer, Exchange};

/// Transfers in progress at a time.
const MAX_TRANSFERS: usize = 64;

/// A REFER that is in progress.
pub(super) struct Transfer {
    refer_id: ReferId,
    asker: Seat,
    asker_call: CallId,
    asker_number: String,
    /// The seat of the new call, once it is dialled.
    dialled: Option<Seat>,
}

impl Exchange {
    pub(super) fn transfer(&mut self, seat: Seat, answer: &Answer, number: String, replaces: Option<CallId>) {
        let Some(leg) = self.leg(seat) else { return };
        if leg.state != LegState::Up || self.transfers.len() >= MAX_TRANSFERS {
            return self.refuse(answer, response_code::WRONG_STATE, "the call is not up");
        }
        let (far, asker_call) = (leg.far, leg.call_id.clone());
        let refer_id = ReferId::Number(self.next_refer);
        self.next_refer += 1;
        let asker_number = self.number(seat.account);
        self.acknowledge(answer);
        self.tell(seat, Some(&answer.transaction), EventBody::Transferring {});
        self.transfers.push(Transfer {
            refer_id: refer_id.clone(),
            asker: seat,
            asker_call,
            asker_number: asker_number.clone(),
            dialled: None,
        });
        let referred_by = Some(asker_number);
        self.tell_line(
            far,
            EventBody::Transfer {
                refer_id,
                refer_to: number.into(),
                referred_by: referred_by.map(Into::into),
                replace_call_id: replaces,
            },
        );
    }

    /// The number of the account that asked for this transfer.
    pub(super) fn referrer(&self, refer_id: &ReferId) -> Option<String> {
        self.transfers
            .iter()
            .find(|transfer| transfer.refer_id == *refer_id)
            .map(|transfer| transfer.asker_number.clone())
    }

    /// The transferred side now calls the target.
    pub(super) fn transfer_dialled(&mut self, seat: Seat, refer_id: ReferId) {
        if let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.refer_id == refer_id) {
            transfer.dialled = Some(seat);
            let (asker, call) = (transfer.asker, transfer.asker_call.clone());
            self.notify(asker, &call, "SIP/2.0 100 Trying", SubscriptionState::Active);
        }
    }

    /// The call of a seat was answered or has ended: reports this to the side that asked for the transfer, if any.
    pub(super) fn transfer_answered(&mut self, seat: Seat, code: i64, reason: &str) {
        if let Some(index) = self.transfers.iter().position(|transfer| transfer.dialled == Some(seat)) {
            let transfer = self.transfers.swap_remove(index);
            let message = format!("SIP/2.0 {code} {reason}");
            self.notify(transfer.asker, &transfer.asker_call, &message, SubscriptionState::Terminated);
        }
        // When a call ends, the transfers that it asked for end as well.
        let call_id = self.leg(seat).map(|leg| leg.call_id.clone());
        if code != sip_status::OK || call_id.is_none() {
            self.transfers.retain(|transfer| Some(&transfer.asker_call) != call_id.as_ref() || transfer.asker != seat);
        }
    }

    pub(super) fn decline_transfer(&mut self, seat: Seat, answer: &Answer, refer_id: ReferId) {
        self.acknowledge(answer);
        let declining = EventBody::Declining { code: sip_status::DECLINE, refer_id: Some(refer_id.clone()) };
        self.tell(seat, Some(&answer.transaction), declining);
        if let Some(index) = self.transfers.iter().position(|transfer| transfer.refer_id == refer_id) {
            let transfer = self.transfers.swap_remove(index);
            self.notify(transfer.asker, &transfer.asker_call, "SIP/2.0 603 Decline", SubscriptionState::Terminated);
        }
    }

    fn notify(&mut self, asker: Seat, call: &CallId, message: &str, state: SubscriptionState) {
        if self.leg(asker).is_some_and(|leg| leg.call_id == *call) {
            let body = EventBody::Notify {
                content: format!("{message}\r\n").into(),
                notify: Some("refer".into()),
                subscription_state: Some(state),
                content_type: Some("message/sipfrag".into()),
            };
            self.tell(asker, None, body);
        }
    }
}
