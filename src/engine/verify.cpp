// Lockstep verification (--verify): each block runs twice from the same state, interpreted and compiled, and must leave
// the same state, memory and device accesses. What is shared by the two is not verified: the front end, the dispatcher,
// and the helpers that both call. Blocks are not linked and the jump cache is empty, so that a run is one block;
// regions are off. One vCPU at a time does this, so that the two runs read the same memory; devices may still write to
// it, which is noticed (Journal::raced), and then the compiled run stands.
#include "engine/verify.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "base/assert.h"
#include "base/log.h"
#include "engine/backend.h"
#include "engine/guest_access.h"
#include "engine/trace.h"
#include "engine/vcpu.h"
#include "frontend/translate.h"
#include "ir/passes/sink_compare.h"

namespace armvisor::engine {
namespace {

using arm::CpuState;
using arm::read_mode_reg;

/// What leave_block() does for these is done at once, so that it is compared too.
bool ends_with_block(Leave why) {
  switch (why) {
    case Leave::Sync:
    case Leave::Fault:
    case Leave::Undefined:
    case Leave::Svc:
    case Leave::Bkpt:
    case Leave::Return:
    case Leave::EmulateLast: return true;
    default: return false;
  }
}

class Differences {
 public:
  void compare(const std::string& name, u64 compiled, u64 interpreted) {
    if (compiled != interpreted)
      text += fmt::format("{:12} compiled {:016x}, interpreted {:016x}\n", name, compiled, interpreted);
  }
  std::string text;
};

/// Where the architecture would see a difference: banked registers by mode, not by where they are kept.
std::string differences(const CpuState& compiled, const CpuState& interpreted) {
  Differences d;
  for (u32 n = 0; n < 16; ++n) d.compare("r" + std::to_string(n), compiled.r[n], interpreted.r[n]);
  d.compare("cpsr", cpsr(compiled), cpsr(interpreted));
  d.compare("itstate", compiled.it, interpreted.it);
  constexpr std::pair<const char*, u32> k_modes[] = {{"usr", arm::k_mode_usr}, {"fiq", arm::k_mode_fiq},
                                                     {"irq", arm::k_mode_irq}, {"svc", arm::k_mode_svc},
                                                     {"abt", arm::k_mode_abt}, {"und", arm::k_mode_und}};
  for (const auto& [name, mode] : k_modes) {
    const u32 first = mode == arm::k_mode_usr || mode == arm::k_mode_fiq ? 8 : 13;
    const u32 last = mode == arm::k_mode_usr ? 14 : 16;  // 16: SPSR
    for (u32 n = first; n <= last; ++n) {
      if (n == 15) continue;
      const std::string what = n == 16 ? fmt::format("spsr_{}", name) : fmt::format("r{}_{}", n, name);
      d.compare(what, read_mode_reg(compiled, mode, n), read_mode_reg(interpreted, mode, n));
    }
  }
  for (u32 n = 0; n < 32; ++n) d.compare("d" + std::to_string(n), compiled.d[n], interpreted.d[n]);
  d.compare("fpscr", fpscr(compiled), fpscr(interpreted));
  d.compare("fpexc", compiled.fpexc, interpreted.fpexc);
  d.compare("excl. address", compiled.excl_pa, interpreted.excl_pa);
  if (compiled.excl_pa != ~u64{0}) {
    d.compare("excl. value", compiled.excl_value, interpreted.excl_value);
    d.compare("excl. size", compiled.excl_size, interpreted.excl_size);
    d.compare("excl. version", compiled.excl_version, interpreted.excl_version);
  }
  d.compare("event", compiled.event, interpreted.event);
  u32 a[sizeof(arm::Cp15State) / 4], b[sizeof(arm::Cp15State) / 4];
  std::memcpy(a, &compiled.cp15, sizeof a);
  std::memcpy(b, &interpreted.cp15, sizeof b);
  for (u32 n = 0; n < std::size(a); ++n) d.compare("cp15 +" + std::to_string(4 * n), a[n], b[n]);
  return d.text;
}

std::string state_text(const CpuState& s) {
  std::string text;
  for (u32 n = 0; n < 16; ++n) text += fmt::format("r{:<2} {:08x}{}", n, s.r[n], n % 8 == 7 ? '\n' : ' ');
  return text + fmt::format("cpsr {:08x} fpscr {:08x}\n", cpsr(s), fpscr(s));
}

mmu::TlbEntry* no_entries() {
  static auto entries = [] {
    auto e = std::make_unique<std::array<mmu::TlbEntry, mmu::k_tlb_entries>>();
    for (u32 k = 0; k < mmu::k_tlb_entries; ++k) (*e)[k] = {mmu::tag_none(k), mmu::tag_none(k), 0};
    return e;
  }();
  return entries->data();
}

}  // namespace

Verifier::~Verifier() {
  say(
      fmt::format("verify: {} blocks ran twice and agreed, {} differed; {} raced with a device, {} not compared from a "
                  "device access on; {} were moved as translated",
                  agreed.load(), differed.load(), raced.load(), cut.load(), moves.load()));
}

void Verifier::check_move(Backend& backend, const Block& block, const frontend::Context& context,
                          std::span<const u8> bytes) {
  constexpr u32 k_by = 0x9a5e5000;  // whole pages, and both halves of an address change
  ir::Block there;
  const bool translated = frontend::translate(context, block.pc + k_by, bytes, {.max_insns = block.insn_count}, there);
  AV_ASSERT(translated);
  ir::sink_compares(there);
  const std::string found = backend.check_move(block, there);
  if (!found.empty())
    assertion_failed(("a block moved is not what is translated there: " + found + "\n" + ir::print(there)).c_str(),
                     __FILE__, __LINE__);
  ++moves;
}

/// Runs the block once. The flag that asks for attention would end a run at once; it is set again afterwards.
Leave TranslatingVcpu::run_once(Block* block, bool& asked) {
  while (true) {
    asked |= context_.dispatch.attention.exchange(0) != 0;
    context_.dispatch.link = nullptr;
    const bool compiled = block->compiled;
    Leave why = compiled ? shared_.backend->execute(&context_, block) : engine::execute(&context_, block);
    while (why == Leave::Emulate) why = emulate();
    if (why == Leave::Attention && compiled) {  // at the entry: nothing has been done, but ITSTATE is back
      context_.guest.it = 0;
      continue;
    }
    if (why == Leave::Attention) return Leave::Lookup;
    if (!ends_with_block(why)) {
      if (why != Leave::Lookup) context_.guest.r[15] = context_.dispatch.pc();
      return why;
    }
    leave_block(why);
    return Leave::Lookup;
  }
}

Leave TranslatingVcpu::execute_verified(Block* block) {
  Verifier& verifier = *shared_.verifier;
  const u64 posted = inbox_.mailbox().posted();
  while (!verifier.turn.try_lock()) {  // who has the turn may wait for us at a barrier
    inbox_.serve();
    std::this_thread::yield();
  }
  const std::lock_guard turn(verifier.turn, std::adopt_lock);
  if (context_.dispatch.attention.load() || inbox_.mailbox().posted() != posted) {
    context_.guest.it = block->marks[0].it;
    return Leave::Attention;
  }
  if (!block->compiled || !block->twin) return shared_.backend->execute(&context_, block);

  bool asked = false;
  const CpuState before = context_.guest;
  journal_->begin();
  views_.replace_tlb(no_entries());  // every access goes by way of the journal
  const Leave why_interpreted = run_once(block->twin.get(), asked);
  const CpuState interpreted = context_.guest;

  views_.replace_tlb(nullptr);
  context_.guest = before;
  views_.sync();
  journal_->replay();
  const Leave why = run_once(block, asked);
  journal_->end();
  if (asked) inbox_.request_attention();

  if (journal_->cut()) {
    ++verifier.cut;
    return why;
  }
  std::string found = journal_->difference();
  // Nearly always all of it is equal. (If not, the difference may be where the architecture does not look.)
  if (std::memcmp(&context_.guest, &interpreted, sizeof interpreted) != 0)
    found += differences(context_.guest, interpreted);
  if (why != why_interpreted)
    found +=
        fmt::format("left for reason {}, interpreted {}\n", static_cast<u32>(why), static_cast<u32>(why_interpreted));
  if (found.empty()) {
    ++verifier.agreed;
    return why;
  }
  if (journal_->raced()) {
    ++verifier.raced;
    return why;
  }
  if (verifier.differed++ == 0) report(*block, before, found);
  return Leave::Differs;
}

void TranslatingVcpu::report(const Block& block, const CpuState& before, const std::string& found) {
  say(fmt::format("verify: vCPU {}: the compiled block at {:08x} and the interpreter differ", index_, block.pc));
  print_text("before:\n" + state_text(before) + "differences:\n" + found);
  const GuestPa page(block.pa.value & ~u64{k_page_mask});
  const u8* const host = shared_.page_at(page);
  if (!host || block.straddles()) return;
  std::array<u8, 256> code{};
  const u32 offset = block.pc & k_page_mask, size = std::min(k_page_size - offset, 256u);
  for (u32 k = 0; k < size; ++k) code[k] = guest_load<u8>(reinterpret_cast<u64>(host) + offset + k);
  frontend::Context context = frontend::Context::of(before);
  context.semihosting = shared_.config.semihosting;
  context.it = block.marks[0].it;
  ir::Block ir_block;
  if (frontend::translate(context, block.pc, std::span(code).first(size), {.max_insns = block.insn_count}, ir_block))
    trace_block(block, ir_block, code.data());
}

}  // namespace armvisor::engine
