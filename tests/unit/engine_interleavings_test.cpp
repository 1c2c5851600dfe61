// The protocols between threads (docs/engine/concurrency.md) in small worlds, in every order of their steps, or in
// thousands of them: the mailbox; dead blocks and who holds them; code that is translated, written and looked for, by
// real vCPUs.
#include <map>

#include "engine/block_holder.h"
#include "engine/code_cache.h"
#include "engine/mailbox.h"
#include "engine_machine.h"
#include "interleaver.h"

namespace armvisor::engine::test {
namespace {

// --- P3: who waits for a vCPU, and what that has served

/// A vCPU with one translation, by which it writes, of a page that another one unmaps; that looks, behind its request,
/// at what was written. A third one is told of both.
class MailboxWorld {
 public:
  explicit MailboxWorld(Interleaver& interleaver) : interleaver_(interleaver) {}

  void vcpu() {
    if (!mailbox_.enter_guest()) serve();
    for (u32 round = 0; round < 2; ++round) {
      run_block();
      outside();
    }
    run_block();
    while (!mailbox_.leave_guest()) serve();
  }
  void unmapper() {
    mapped_ = false;
    full_fence();
    interleaver_.point("unmapped");
    const u64 ticket = mailbox_.post({.kind = Request::Kind::Forget, .asid = Asid(), .pa = GuestPa()});
    interleaver_.point("posted");
    known_ = writes_;
    asked_ = true;
    interleaver_.point("asked");
    attention_ = true;
    wait_for(ticket);
  }
  void bystander() {
    if (!asked_) return;
    const u32 seen = writes_;
    wait_for(mailbox_.posted());
    EXPECT_GE(known_, seen) << "a write that others have seen is not confessed";
  }

 private:
  void serve() {
    mailbox_.serve([this](const Request&) { entry_ = false; }, [this] { known_ = writes_; });
  }
  void wait_for(u64 ticket) {
    while (!mailbox_.has_served(ticket)) interleaver_.wait();
    gone_ = true;
  }
  void run_block() {
    interleaver_.point("block");
    if (attention_) {
      attention_ = false;
      serve();
    }
    for (u32 access = 0; access < 2; ++access) {
      if (!entry_) {  // a walk, in the middle of a block
        const bool mapped = mapped_;
        interleaver_.point("walked");
        entry_ = mapped;
      }
      interleaver_.point("access");
      // (What was asked while the walk went on is served at the end of the block; its asker waits for that.)
      if (!entry_) continue;
      EXPECT_FALSE(gone_) << "a translation is used that nobody may have";
      ++writes_;
    }
  }
  /// In a device, or looking for code by way of the tables.
  void outside() {
    while (!mailbox_.leave_guest()) serve();
    const u64 served = mailbox_.served();
    const bool mapped = mapped_;
    interleaver_.point("outside");
    entry_ = mapped;
    if (!mailbox_.enter_guest()) serve();
    if (mailbox_.served() == served && entry_) {
      EXPECT_FALSE(gone_) << "code was found by translations that nobody may have";
    }
  }

  Interleaver& interleaver_;
  Mailbox mailbox_;
  bool mapped_ = true, entry_ = true, asked_ = false, attention_ = false, gone_ = false;
  u32 writes_ = 0, known_ = 0;  ///< how many there were, and how many of them somebody has found or confessed
};

TEST(Interleavings, WhoWaitsForAVcpuFindsThatItHasServed) {
  Interleaver interleaver;
  interleaver.ignore({"mailbox: not served"});
  std::unique_ptr<MailboxWorld> world;
  const auto make = [&]() -> Interleaver::Actors {
    world = std::make_unique<MailboxWorld>(interleaver);
    return {[&] { world->vcpu(); }, [&] { world->unmapper(); }, [&] { world->bystander(); }};
  };
  const u64 count = interleaver.walk(2, make, [] {});
  EXPECT_GT(count, 1000u);
}

// --- P5: dead blocks, and who holds them

class CountingBackend final : public Backend {
 public:
  std::unique_ptr<Block> make(const ir::Block&, u32) override { return nullptr; }
  Leave execute(Context*, Block*) override { return Leave::Lookup; }
  void release(Block& block) override { released.insert({&block, true}); }
  std::map<const Block*, bool> released;  ///< what has been freed, but for what is in use again
};

/// One that looks for a block and remembers it, one that kills and makes it anew, one that frees.
class HolderWorld final : private Claimer {
 public:
  explicit HolderWorld(Interleaver& interleaver)
      : interleaver_(interleaver),
        ram_(std::move(*GuestRam::create(k_page, 1u << 20))),
        frames_(ram_),
        cache_(frames_, backend_),
        holder_(holders_) {
    make_block();
  }

  void searcher() {
    if (holder_.enter()) remembered_ = nullptr;
    look();
    // In a device, in the middle of the block.
    const Block* const current = remembered_;
    holder_.leave(current);
    interleaver_.point("device");
    if (holder_.enter()) remembered_ = nullptr;
    use(current);
    look();
    // A quiet point.
    const u64 epoch = cache_.epoch();
    remembered_ = nullptr;
    holder_.pass(epoch);
    look();
    holder_.leave(nullptr);
    interleaver_.point("away");
    if (holder_.enter()) remembered_ = nullptr;
    look();
  }
  void killer() {
    for (u32 k = 0; k < 2; ++k) {
      cache_.invalidate(k_page, 4);
      interleaver_.point("killed");
      make_block();
    }
  }
  void reclaimer() {
    for (u32 k = 0; k < 2; ++k) holders_.reclaim(cache_);
  }

 private:
  static constexpr GuestPa k_page{k_ram};

  void make_block() {
    auto block = std::make_unique<Block>();
    backend_.released.erase(block.get());
    block->pc = k_ram;
    block->pa = k_page;
    block->bytes = 4;
    block->compiled = true;
    CodeSource source(k_ram, ram_.host(k_page));
    source.read();
    cache_.publish(std::move(block), source, CodeCache::Place::Open, *this);
  }
  void claim(GuestPa, u8) override { ADD_FAILURE() << "nobody writes"; }
  /// A block that is remembered is used if it is not dead; else the cache is asked.
  void look() {
    interleaver_.point("looks");
    use(remembered_);
    interleaver_.point("used");
    if (remembered_ && remembered_->exec_id.load() != k_dead_block) return;
    remembered_ = cache_.find(k_page, k_ram, 0, k_no_page);
    interleaver_.point("found");
    use(remembered_);
  }
  void use(const Block* block) {
    EXPECT_FALSE(block && backend_.released.contains(block)) << "a block is used that was freed";
  }

  Interleaver& interleaver_;
  GuestRam ram_;
  mmu::FrameTable frames_;
  CountingBackend backend_;
  CodeCache cache_;
  BlockHolders holders_;
  BlockHolder holder_;
  const Block* remembered_ = nullptr;
};

TEST(Interleavings, WhatAThreadMayUseIsNotFreed) {
  Interleaver interleaver;
  interleaver.ignore({"publish: lines set", "publish: compared", "watch: begun", "watch: marked", "watch: claimed"});
  std::unique_ptr<HolderWorld> world;
  const auto make = [&]() -> Interleaver::Actors {
    world = std::make_unique<HolderWorld>(interleaver);
    return {[&] { world->searcher(); }, [&] { world->killer(); }, [&] { world->reclaimer(); }};
  };
  const u64 count = interleaver.walk(2, make, [] {});
  interleaver.sample(10000, 4, make, [] {});
  EXPECT_GT(count, 1000u);
}

// --- P2: code that is written while it is translated, by real vCPUs

constexpr u32 k_function = k_ram + 0x30000, k_other = k_ram + 0x50000, k_flag = k_ram + 0x60000;
constexpr u32 k_second = k_function + 0x200;
constexpr u32 k_end = k_ram + 0xa000, k_write = k_ram + 0x8000, k_maintain = k_ram + 0x9000;

/// vCPU 0 calls a function, 1 writes it without being seen, 2 has perhaps been told so, makes the maintenance and calls
/// it; a device writes another function of the frame, which may lose its mark thereby.
class Writing : public testing::Test {
 protected:
  Writing() : m(3) {
    m.words(k_other, {0xe3a00007, 0xe12fff1e});  // mov r0, #7; bx lr
    m.words(k_end, {k_stop});
    m.words(k_write, {
                         0xee080f17,  // mcr p15, 0, r0, c8, c7, 0  (TLBIALL)
                         0xf57ff04f,  // dsb
                         0xf57ff06f,  // isb
                         0xe5812100,  // str r2, [r1, #0x100]   an entry that writes the frame
                         0xe5888000,  // str r8, [r8]           another page, for which there is none yet
                         0xe5812000,  // str r2, [r1]           the function
                         0xf57ff05b,  // dmb ish
                         0xe5837000,  // str r7, [r3]           the flag
                         k_stop,
                     });
    m.words(k_maintain, {
                            0xe5935000,  // ldr r5, [r3]
                            0xf57ff04f,  // dsb
                            0xee071f35,  // mcr p15, 0, r1, c7, c5, 1  (ICIMVAU)
                            0xf57ff04f,  // dsb
                            0xf57ff06f,  // isb
                            0xe12fff36,  // blx r6
                            k_stop,
                        });
    m.words(k_function, {0xe3a00001, 0xe12fff1e});  // mov r0, #1; bx lr
    for (u32 k = 0; k < 3; ++k) {                   // their own code is translated
      prepare(k);
      m.reg(1, k) = m.reg(3, k) = k_flag + 0x1000;
      m.reg(6, k) = k_other;
      EXPECT_EQ(m.run(k_write, k), Exit::Kicked);
      EXPECT_EQ(m.run(k_maintain, k), Exit::Kicked);
    }
    interleaver.ignore(
        {"search: at a block", "holder: left", "holder: entered", "holder: passed", "mailbox: not served"});
  }
  void prepare(u32 k) {
    m.reg(1, k) = m.reg(6, k) = k_function;
    m.reg(2, k) = 0xe3a00002;  // mov r0, #2
    m.reg(3, k) = k_flag;
    m.reg(7, k) = 1;
    m.reg(8, k) = k_flag + 0x2000;
    m.reg(14, k) = k_end;
  }
  void begin() {
    m.words(k_function, {0xe3a00001});
    m.put32(k_flag, 0);
    m.words(k_second, {k_stop});
    EXPECT_EQ(m.run(k_second, 0), Exit::Kicked);
    for (u32 k = 0; k < 3; ++k) prepare(k);
  }
  Interleaver::Actors actors() {
    begin();
    return {
        [this] { EXPECT_EQ(m.run(k_function, 0), Exit::Kicked); },
        [this] { EXPECT_EQ(m.run(k_write, 1), Exit::Kicked); },
        [this] {
          EXPECT_EQ(m.run(k_maintain, 2), Exit::Kicked);
          if (m.reg(5, 2) != 0) {
            EXPECT_EQ(m.reg(0, 2), 2u) << "old code behind complete maintenance";
          }
        },
        [this] { m.put32(k_second, k_stop); },
    };
  }
  /// All is over: what is found is new.
  void done() {
    prepare(0);
    EXPECT_EQ(m.run(k_maintain, 0), Exit::Kicked);
    EXPECT_EQ(m.reg(0, 0), 2u) << "old code when all is over";
  }

  Interleaver interleaver;
  Machine m;
};

TEST_F(Writing, WhoHasSeenTheWriteAndMadeMaintenanceRunsTheNewCode) {
  const u64 count = interleaver.sweep([this] { return actors(); }, [this] { done(); });
  EXPECT_GT(count, 100u);
  interleaver.sample(
      3000, 6, [this] { return actors(); }, [this] { done(); });
}

/// The writer makes the maintenance itself, and calls.
TEST_F(Writing, TheWriterRunsTheNewCode) {
  m.words(k_write + 8 * 4, {0xf57ff04f, 0xee071f35, 0xf57ff04f, 0xf57ff06f, 0xe12fff36, k_stop});
  const auto make = [this]() -> Interleaver::Actors {
    Interleaver::Actors all = actors();
    all[2] = [this] { EXPECT_EQ(m.run(k_function, 2), Exit::Kicked); };
    all[1] = [this] {
      EXPECT_EQ(m.run(k_write, 1), Exit::Kicked);
      EXPECT_EQ(m.reg(0, 1), 2u) << "old code behind complete maintenance";
    };
    return all;
  };
  const u64 count = interleaver.sweep(make, [this] { done(); });
  EXPECT_GT(count, 100u);
  interleaver.sample(10000, 6, make, [this] { done(); });
}

}  // namespace
}  // namespace armvisor::engine::test
