#include "engine/inbox.h"

namespace armvisor::engine {

void Inbox::enter() {
  running_.store(true, std::memory_order_relaxed);
  if (holder_.enter()) owner_.forget_blocks();
  (void)mailbox_.enter_guest();
  request_attention();  // what was asked is served before the first block
}

void Inbox::leave() {
  while (!mailbox_.leave_guest()) serve();
  holder_.leave(nullptr);
  running_.store(false, std::memory_order_relaxed);
}

void Inbox::serve() {
  if (mailbox_.empty()) return;
  mailbox_.serve([this](const Request& r) { owner_.apply(r); }, [this] { owner_.settle(); });
}

OutsideGuest::OutsideGuest(Inbox& inbox, Holds holds)
    : inbox_(inbox), parts_(holds == Holds::Current && inbox.may_part_) {
  while (!inbox_.mailbox_.leave_guest()) inbox_.serve();
  if (parts_) inbox_.holder_.leave(inbox_.dispatch_.block);
}

OutsideGuest::~OutsideGuest() {
  if (parts_ && inbox_.holder_.enter()) inbox_.owner_.forget_blocks();
  if (!inbox_.mailbox_.enter_guest()) inbox_.serve();
}

}  // namespace armvisor::engine
