// Inboxes and outboxes of a few vCPUs that run no code (docs/engine/concurrency.md, P3, P4, P5, P8).
#include <deque>

#include "engine/outbox.h"
#include "interleaver.h"

namespace armvisor::engine {
namespace {

using Kind = Request::Kind;

Request page(u32 va, Kind kind = Kind::FlushVaAllAsids, u8 asid = 0) {
  return {.kind = kind, .asid = Asid(asid), .va = va, .pa = GuestPa()};
}
Request of(Kind kind) { return {.kind = kind, .asid = Asid(), .pa = GuestPa()}; }

/// A vCPU but for all that runs code.
class Peer final : public Inbox::Owner {
 public:
  Peer(u32 index, std::vector<Inbox*>& all, BlockHolders& holders, bool may_part = true)
      : inbox(*this, dispatch, holders, may_part), outbox(index, all, policy) {
    all.push_back(&inbox);
  }
  void apply(const Request& r) override {
    applied.push_back(r);
    if (on_apply) on_apply();
  }
  void settle() override { settled = applied.size(); }
  void forget_blocks() override { ++forgotten; }
  bool needs(const Request&) const override { return needs_pages; }
  /// Between two blocks.
  void look() {
    if (dispatch.attention.exchange(0) != 0) inbox.serve();
  }

  Dispatch dispatch;
  Policy policy;
  Inbox inbox;
  Outbox outbox;
  std::vector<Request> applied;
  std::size_t settled = 0;
  u32 forgotten = 0;
  bool needs_pages = true;
  std::function<void()> on_apply;
};

struct World {
  explicit World(u32 count, bool may_part = true) {
    for (u32 k = 0; k < count; ++k) vcpus.emplace_back(k, inboxes, holders, may_part);
  }
  BlockHolders holders;
  std::vector<Inbox*> inboxes;
  std::deque<Peer> vcpus;
};

TEST(Outbox, MaintenanceOfPagesThatFollowEachOtherIsOneRequest) {
  World w(2);
  Peer &a = w.vcpus[0], &b = w.vcpus[1];
  for (u32 k = 0; k < 5; ++k) a.outbox.broadcast(page(0x8000 + k * k_page_size));
  EXPECT_TRUE(a.policy.has_tickets);
  EXPECT_EQ(a.policy.barriers_left, 0) << "the barrier comes to C++";
  EXPECT_EQ(b.inbox.mailbox().posted(), 0u) << "nothing is posted before the barrier";
  a.outbox.wait();
  EXPECT_FALSE(a.policy.has_tickets);
  b.inbox.serve();
  ASSERT_EQ(b.applied.size(), 1u);
  EXPECT_EQ(b.applied[0].va, 0x8000u);
  EXPECT_EQ(b.applied[0].pages, 5u);
  EXPECT_EQ(b.settled, 1u);
}

TEST(Outbox, WhatDoesNotFollowIsARequestOfItsOwnAndComesBehind) {
  World w(2);
  Peer &a = w.vcpus[0], &b = w.vcpus[1];
  a.outbox.broadcast(page(0x8000));
  a.outbox.broadcast(page(0xa000));                    // a page is left out
  a.outbox.broadcast(page(0xb000, Kind::FlushVa, 1));  // another kind
  a.outbox.broadcast(page(0xc000, Kind::FlushVa, 2));  // another ASID
  a.outbox.broadcast(of(Kind::FlushAll));
  b.inbox.serve();
  ASSERT_EQ(b.applied.size(), 5u);
  for (u32 k = 0; k < 4; ++k) EXPECT_EQ(b.applied[k].pages, 1u);
  EXPECT_EQ(b.applied[1].va, 0xa000u);
  EXPECT_EQ(b.applied[3].asid, Asid(2));
  EXPECT_EQ(b.applied[4].kind, Kind::FlushAll);
}

TEST(Outbox, PagesAreAskedOfThoseWhoMayHaveThem) {
  World w(3);
  w.vcpus[1].needs_pages = false;
  w.vcpus[0].outbox.broadcast(page(0x8000));
  w.vcpus[0].outbox.post_pending();
  w.vcpus[0].outbox.post_pending();
  EXPECT_EQ(w.inboxes[0]->mailbox().posted(), 0u);
  EXPECT_EQ(w.inboxes[1]->mailbox().posted(), 0u);
  EXPECT_EQ(w.inboxes[2]->mailbox().posted(), 1u);
}

TEST(Inbox, APostAsksForAttention) {
  World w(1);
  w.inboxes[0]->post(of(Kind::Forget));
  EXPECT_NE(w.vcpus[0].dispatch.attention.load(), 0u);
}

TEST(Inbox, WhoIsOutsideInABlockHoldsThatBlockOnly) {
  World w(1);
  Peer& a = w.vcpus[0];
  Block block;
  a.inbox.enter();
  EXPECT_TRUE(a.inbox.is_running());
  EXPECT_EQ(a.inbox.holder().quiet(), 0u);
  a.dispatch.block = &block;
  {
    const OutsideGuest outside(a.inbox, OutsideGuest::Holds::Any);
    EXPECT_TRUE(a.inbox.mailbox().has_served(1)) << "nobody waits for it";
    EXPECT_EQ(a.inbox.holder().quiet(), 0u);
  }
  EXPECT_FALSE(a.inbox.mailbox().has_served(1));
  {
    const OutsideGuest outside(a.inbox, OutsideGuest::Holds::Current);
    EXPECT_EQ(a.inbox.holder().quiet(), BlockHolder::k_none);
    EXPECT_EQ(a.inbox.holder().held(), &block);
  }
  EXPECT_EQ(a.inbox.holder().quiet(), 0u);
  a.inbox.leave();
  EXPECT_FALSE(a.inbox.is_running());
  EXPECT_EQ(a.inbox.holder().held(), nullptr);
}

TEST(Inbox, WhoMayNotPartHoldsItsBlocksOutside) {
  World w(1, false);
  Peer& a = w.vcpus[0];
  a.inbox.enter();
  const OutsideGuest outside(a.inbox, OutsideGuest::Holds::Current);
  EXPECT_EQ(a.inbox.holder().quiet(), 0u);
}

TEST(Inbox, WhatIsAskedIsServedBeforeItIsOutsideAndWhenItComesBack) {
  World w(1);
  Peer& a = w.vcpus[0];
  a.inbox.enter();
  a.inbox.post(of(Kind::Forget));
  {
    const OutsideGuest outside(a.inbox, OutsideGuest::Holds::Current);
    EXPECT_EQ(a.applied.size(), 1u);
    a.inbox.post(of(Kind::Forget));
    EXPECT_EQ(a.applied.size(), 1u);
  }
  EXPECT_EQ(a.applied.size(), 2u);
  EXPECT_TRUE(a.inbox.mailbox().has_served(2));
}

/// vCPUs that each unmap a page of their own while all use it, and wait at a barrier.
class UnmappingWorld {
 public:
  explicit UnmappingWorld(Interleaver& interleaver) : interleaver_(interleaver), w_(k_vcpus) {
    for (Peer& vcpu : w_.vcpus) vcpu.on_apply = [this, &vcpu] { drop(vcpu); };
  }
  void run(u32 self) {
    Peer& vcpu = w_.vcpus[self];
    vcpu.inbox.enter();
    block(vcpu);
    mapped_[self] = false;
    entry_[self][self] = false;
    vcpu.outbox.broadcast(self == 0 ? page(0x8000) : of(Kind::FlushAll));
    interleaver_.point("asked");
    vcpu.outbox.wait();
    gone_[self] = true;
    block(vcpu);
    vcpu.inbox.leave();
  }

 private:
  static constexpr u32 k_vcpus = 2;
  u32 number_of(const Peer& vcpu) const { return &vcpu == &w_.vcpus[0] ? 0 : 1; }
  void drop(const Peer& vcpu) {
    for (u32 k = 0; k < k_vcpus; ++k) entry_[number_of(vcpu)][k] &= mapped_[k];
  }
  void block(Peer& vcpu) {
    interleaver_.point("block");
    vcpu.look();
    for (u32 k = 0; k < k_vcpus; ++k) {
      interleaver_.point("access");
      EXPECT_FALSE(entry_[number_of(vcpu)][k] && gone_[k]) << "a translation is used that nobody may have";
    }
  }

  Interleaver& interleaver_;
  World w_;
  bool mapped_[k_vcpus] = {true, true}, gone_[k_vcpus] = {};
  bool entry_[k_vcpus][k_vcpus] = {{true, true}, {true, true}};
};

TEST(Outbox, TwoThatWaitForEachOtherGoOnAndNeitherUsesWhatTheOtherUnmapped) {
  Interleaver interleaver;
  interleaver.ignore({"mailbox: not served", "holder: entered", "holder: left"});
  std::unique_ptr<UnmappingWorld> world;
  const auto make = [&]() -> Interleaver::Actors {
    world = std::make_unique<UnmappingWorld>(interleaver);
    return {[&] { world->run(0); }, [&] { world->run(1); }};
  };
  const u64 count = interleaver.walk(3, make, [] {});
  EXPECT_GT(count, 1000u);
}

/// What vCPU 1 of two, in guest code, has been asked when vCPU 0 makes maintenance of code and a barrier.
void maintain_code(Kind asked, bool& served_first) {
  Interleaver interleaver;
  interleaver.ignore({"mailbox: not served"});
  std::unique_ptr<World> w;
  bool serves = false;
  const auto make = [&]() -> Interleaver::Actors {
    w = std::make_unique<World>(2);
    serves = false;
    w->vcpus[1].inbox.enter();
    w->vcpus[1].look();
    w->inboxes[1]->post(of(asked));
    return {[&] {
              w->vcpus[0].inbox.enter();
              w->vcpus[0].outbox.await_code();
              w->vcpus[0].outbox.wait();
              served_first &= serves;
            },
            [&] {
              interleaver.point("block");
              serves = true;
              w->vcpus[1].look();
            }};
  };
  served_first = true;
  interleaver.walk(2, make, [] {});
}

TEST(Outbox, MaintenanceOfCodeWaitsForThoseWhoAreToLetGo) {
  bool served_first = false;
  maintain_code(Kind::DropWrites, served_first);
  EXPECT_TRUE(served_first);
}

TEST(Outbox, MaintenanceOfCodeWaitsForNothingElse) {
  bool served_first = false;
  maintain_code(Kind::Forget, served_first);
  EXPECT_FALSE(served_first);
}

TEST(Outbox, WhatAnybodyAskedIsWaitedFor) {
  World w(2);
  Peer &a = w.vcpus[0], &b = w.vcpus[1];
  a.outbox.await_posted();
  EXPECT_FALSE(a.policy.has_tickets);
  b.inbox.enter();
  b.inbox.post(of(Kind::DropDerived));
  a.outbox.await_posted();
  EXPECT_TRUE(a.policy.has_tickets);
}

}  // namespace
}  // namespace armvisor::engine
