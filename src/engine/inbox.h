#pragma once
// What other threads want of a vCPU, and where it stands for them: in guest code or outside, and with which blocks in
// hand (docs/engine/concurrency.md, P3 and P5).
//
// In guest code a vCPU uses translations and writes RAM unseen. It serves requests between two blocks, and before it
// leaves guest code and when it comes back, which may be in the middle of a block: in a device, at a barrier that
// waits.
#include <atomic>

#include "engine/block_holder.h"
#include "engine/context.h"
#include "engine/mailbox.h"

namespace armvisor::engine {

class Inbox {
 public:
  /// The vCPU, as its inbox sees it. It is called on the vCPU's thread where nothing else is said.
  class Owner {
   public:
    virtual void apply(const Request& request) = 0;  ///< does what is asked
    virtual void settle() = 0;                       ///< does what may not wait until requests count as served
    virtual void forget_blocks() = 0;                ///< those that it remembers may have been freed
    /// (any thread) Maintenance of these pages has to reach the vCPU. Who asks has made a full fence after its writes
    /// to tables.
    virtual bool needs(const Request& request) const = 0;

   protected:
    ~Owner() = default;
  };

  /// `may_part`: outside guest code in the middle of a block, the vCPU lets go of all blocks but that one.
  Inbox(Owner& owner, Dispatch& dispatch, BlockHolders& holders, bool may_part)
      : owner_(owner), dispatch_(dispatch), may_part_(may_part), holder_(holders) {}

  // --- (any thread) None of these waits for anything.
  /// Returns the request's ticket. Attention is set behind the request (P3).
  u64 post(const Request& request) {
    const u64 ticket = mailbox_.post(request);
    request_attention();
    return ticket;
  }
  void request_attention() { dispatch_.attention.store(1); }
  bool needs(const Request& request) const { return owner_.needs(request); }
  const Mailbox& mailbox() const { return mailbox_; }
  const BlockHolder& holder() const { return holder_; }
  bool is_running() const { return running_.load(std::memory_order_relaxed); }

  // --- the vCPU's thread
  /// The vCPU is going to run guest code; it has to look at what asks for attention first, which is set.
  void enter();
  /// The vCPU runs no more guest code, and holds no block.
  void leave();
  void serve();
  /// It remembers no block that died before `epoch` (BlockHolder::pass).
  void pass(u64 epoch) { holder_.pass(epoch); }

 private:
  friend class OutsideGuest;

  Owner& owner_;
  Dispatch& dispatch_;
  const bool may_part_;
  Mailbox mailbox_;
  BlockHolder holder_;
  std::atomic<bool> running_{false};
};

/// While it lives, the vCPU runs no guest code: it uses no translation and writes no RAM, and no other waits for it.
/// What is asked of the vCPU is served before it begins and when it ends, which may be in the middle of a block.
class OutsideGuest {
 public:
  /// What the vCPU goes on with afterwards: any block that it knows, or the one that it is in, if it is in one. In the
  /// second case dead blocks do not wait for it.
  enum class Holds : u8 { Any, Current };
  OutsideGuest(Inbox& inbox, Holds holds);
  ~OutsideGuest();
  OutsideGuest(const OutsideGuest&) = delete;
  OutsideGuest& operator=(const OutsideGuest&) = delete;

 private:
  Inbox& inbox_;
  const bool parts_;  ///< with the blocks that it knows
};

}  // namespace armvisor::engine
