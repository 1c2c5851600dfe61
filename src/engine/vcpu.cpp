#include "engine/vcpu.h"

#include <algorithm>
#include <utility>

#include "arm/absent_extensions.h"
#include "arm/debug_events.h"
#include "base/assert.h"
#include "base/log_once.h"
#include "engine/uop_functions.h"
#include "engine/vcpu_call_memory.h"

namespace armvisor::engine {

using measure::Counter;
using measure::VcpuTime;

namespace {

Counter counter_of(Leave why) {
  switch (why) {
    case Leave::Lookup: return Counter::HeavyLookup;
    case Leave::Attention: return Counter::HeavyAttention;
    case Leave::Sync: return Counter::HeavySync;
    case Leave::Fault: return Counter::HeavyDataAbort;
    case Leave::Undefined: return Counter::HeavyUndefined;
    case Leave::Svc: return Counter::HeavySvc;
    case Leave::Bkpt: return Counter::HeavyBkpt;
    case Leave::Hvc: return Counter::HeavyHvc;
    case Leave::Smc: return Counter::HeavySmc;
    case Leave::Wfi: return Counter::HeavyWfi;
    case Leave::Wfe: return Counter::HeavyWfe;
    case Leave::Yield: return Counter::HeavyYield;
    case Leave::Return:
    case Leave::Emulate:
    case Leave::EmulateLast: break;  // what is run counts itself
    case Leave::Hot: return Counter::HeavyHot;
    case Leave::Differs: break;
  }
  return Counter::Count;
}

}  // namespace

TranslatingVcpu::TranslatingVcpu(Shared& shared, u32 index)
    : context_{},
      shared_(shared),
      index_(index),
      journal_(shared.verifier ? std::make_unique<Journal>() : nullptr),
      stops_(shared.stops),
      // (With --verify a block runs twice, and its interpreted form is none that the code cache knows.)
      inbox_(*this, context_.dispatch, shared.holders, /*may_part=*/shared.verifier == nullptr),
      outbox_(index, shared.inboxes, context_.policy),
      memory_(context_, shared, index, inbox_, outbox_, clock(), journal_.get()),
      windows_(context_, shared, memory_, inbox_),
      views_(context_, memory_, windows_),
      system_(context_, shared, index, memory_, windows_, views_, inbox_, outbox_, journal_.get()),
      finder_(*this, context_, inbox_, shared, memory_) {
  shared.inboxes.push_back(&inbox_);
  context_.vcpu = this;
  context_.memory = &memory_;
  context_.windows = &windows_;
  context_.system = &system_;
  context_.stops = &stops_;
  std::fill(std::begin(context_.heat), std::end(context_.heat), shared.backend->hot());
  context_.policy.host_to_pa = shared.ram.base().value - reinterpret_cast<u64>(shared.ram.host(shared.ram.base()));
  context_.policy.exclusive_slots = shared.exclusives.slots();
  context_.guest = arm::reset_state(index, shared.config.vcpus);
  if (shared.config.count_time) clock().start(VcpuTime::Idle);
  for (u32 mode = 0; mode < std::size(context_.policy.simple_bank); ++mode)
    context_.policy.simple_bank[mode] =
        arm::mode_is_valid(mode) && mode != arm::k_mode_fiq ? static_cast<u8>(arm::bank_of(mode)) : k_no_simple_bank;
  for (u32 k = 0; k < 2; ++k) context_.dispatch.kept_views[k].other = &context_.dispatch.kept_views[k ^ 1];
}

/// Marks the vCPU as being inside run().
class RunScope {
 public:
  explicit RunScope(TranslatingVcpu& vcpu) : vcpu_(vcpu) { vcpu_.enter_run(); }
  ~RunScope() { vcpu_.leave_run(); }
  RunScope(const RunScope&) = delete;
  RunScope& operator=(const RunScope&) = delete;

 private:
  TranslatingVcpu& vcpu_;
};

void TranslatingVcpu::enter_run() {
  clock().enter(VcpuTime::Hypervisor);
  inbox_.enter();
  windows_.thread_changed();
  context_.dispatch.block = nullptr;
  context_.dispatch.link = nullptr;
  if (stops_.refresh(context_.guest)) system_.debug_changed();
  views_.sync();
}

void TranslatingVcpu::leave_run() {
  note_instructions();
  outbox_.post_pending();
  inbox_.leave();
}

namespace {

/// Nothing checks a link within a page, so it must lead to the frame it comes from: the translation of the page may
/// have changed in the block.
bool may_connect(const Link& link, const Block& block) {
  // A block may end in another view than the one that it was entered in, with another window or none.
  if ((link.owner->key ^ block.key) & k_key_window) return false;
  return !link.same_page || (link.owner->pa.value ^ block.pa.value) >> k_page_bits == 0;
}

}  // namespace

Exit TranslatingVcpu::run() {
  const RunScope scope(*this);
  while (true) {
    if (context_.dispatch.attention.load(std::memory_order_relaxed)) {
      if (serve()) return Exit::Kicked;
      if (std::exchange(context_.dispatch.yield, false)) return Exit::Yield;
    }
    if (context_.dispatch.lines.load(std::memory_order_relaxed) && stops_.takes_interrupts()) take_interrupts();
    Block* const block = finder_.find();
    Link* const link = context_.dispatch.link;
    context_.dispatch.link = nullptr;
    if (!block) {
      if (stops_.pending()) return stop_for_debugger(context_.guest.r[15], context_.guest.it);
      views_.sync();
      continue;
    }
    if (link && !journal_ && may_connect(*link, *block)) shared_.code.connect(link, block);
    clock().enter(VcpuTime::Guest);
    Leave why = journal_ ? execute_verified(block) : shared_.backend->execute(&context_, block);
    clock().enter(VcpuTime::Hypervisor);
    while (why == Leave::Emulate) why = emulate();
    if (const Counter c = counter_of(why); c != Counter::Count) count(c);
    if (why == Leave::Lookup) continue;
    context_.dispatch.link = nullptr;
    if (const auto exit = leave_block(why)) return *exit;
  }
}

/// Serves whatever asked for attention. The flag is cleared first: what is asked after that asks again.
bool TranslatingVcpu::serve() {
  context_.dispatch.attention.exchange(0);
  context_.dispatch.link = nullptr;
  note_instructions();
  if (kicked_.exchange(false)) return true;
  outbox_.post_pending();
  inbox_.serve();
  // Dead blocks are found by nobody, so the jump cache may keep them until they are to be freed.
  const u64 epoch = shared_.code.epoch();
  if (shared_.code.wants_reclaim() && inbox_.holder().passed() != epoch) {
    finder_.forget();
    inbox_.pass(epoch);
    shared_.reclaim_code();
  }
  views_.sync();
  return false;
}

void TranslatingVcpu::resync() {
  views_.sync();
  const u32 lines = context_.dispatch.lines.load(), psr = context_.guest.psr;
  if (((lines & k_line_irq) && !(psr & arm::k_psr_i)) || ((lines & k_line_fiq) && !(psr & arm::k_psr_f)))
    inbox_.request_attention();
}

void TranslatingVcpu::return_from_exception(u32 pc, u32 psr) {
  count(Counter::LightReturn);
  arm::write_cpsr_by_instr(context_.guest, psr, 15, true);
  context_.guest.r[15] = pc & (context_.guest.thumb() ? ~1u : ~3u);
  resync();
}

void TranslatingVcpu::supervisor_call(u32 next) {
  count(Counter::LightSvc);
  arm::take_exception(context_.guest, arm::Exception::SupervisorCall, next - 4, 4);
  resync();
}

bool TranslatingVcpu::fetch_page(u32 va, CodePage& page) {
  arm::CpuState& s = context_.guest;
  const u64 id = context_.dispatch.now.exec[(va >> k_page_bits) % mmu::k_exec_entries];
  if (static_cast<u32>(id) == va >> k_page_bits) {
    page.frame = mmu::exec_frame(id);
  } else {
    GuestMemory::Page found;
    if (const arm::Fault fault = memory_.find_page(va, arm::Access::Execute, s.privileged(), found)) {
      if (stops_.stops_fetch(s.r[15])) return false;
      count(Counter::TrueExec);
      count(Counter::PrefetchAbort);
      arm::take_prefetch_abort(s, fault, s.r[15]);
      return false;
    }
    page.frame = found.frame;
    if (!memory_.views_hold()) views_.sync();
  }
  page.host = shared_.page_at(page.frame);
  if (page.host) return true;
  arm::Fault external;
  external.type = arm::FaultType::SyncExternal;
  external.va = va;
  if (stops_.stops_fetch(s.r[15])) return false;
  count(Counter::PrefetchAbort);
  arm::take_prefetch_abort(s, external, s.r[15]);
  return false;
}

void TranslatingVcpu::take_interrupts() {
  const u32 lines = context_.dispatch.lines.load();
  arm::CpuState& s = context_.guest;
  if ((lines & k_line_fiq) && !(s.psr & arm::k_psr_f)) {
    arm::take_exception(s, arm::Exception::Fiq, s.r[15], 4);
    count(Counter::Fiq);
  } else if ((lines & k_line_irq) && !(s.psr & arm::k_psr_i)) {
    if (!waited_) windows_.tick();
    waited_ = false;
    arm::take_exception(s, arm::Exception::Irq, s.r[15], 4);
    count(Counter::Irq);
  } else {
    return;
  }
  stops_.stepped();
  context_.dispatch.link = nullptr;
  views_.sync();
}

/// An exception of the instruction at Dispatch::at itself, which sees that instruction's ITSTATE.
void TranslatingVcpu::raise(arm::Exception exception) {
  if (exception == arm::Exception::Undefined && context_.guest.privileged()) tell_absent_extension();
  context_.guest.it = context_.dispatch.mark().it;
  arm::take_exception(context_.guest, exception, context_.dispatch.pc(), context_.dispatch.mark().bytes);
}

/// A kernel or firmware that expects Hyp or Monitor mode mostly stops here without a word: the user is told why.
void TranslatingVcpu::tell_absent_extension() {
  const u32 pc = context_.dispatch.pc();
  const bool thumb = context_.guest.thumb();
  const std::optional<u32> insn = memory_.instruction(pc, thumb);
  const arm::Extension* const extension = insn ? arm::absent_extension(*insn, thumb) : nullptr;
  if (!extension) return;
  AV_LOG_ONCE(Warn,
              "the guest executed an instruction of the %s, which this CPU does not have: it is UNDEFINED. What needs "
              "%s mode cannot run here (instruction %08x at %08x)",
              extension->name, extension->mode, *insn, pc);
}

/// The sensitive instruction at Dispatch::at. False: it is UNDEFINED.
bool TranslatingVcpu::run_helper() {
  context_.dispatch.world_switched = true;
  const Uop& at = *context_.dispatch.at;
  const bool done = helper_by_number(at.helper_number)(context_, at);
  context_.dispatch.world_switched = false;
  return done;
}

/// What Leave::Emulate asks for; returns why generated code was left next.
Leave TranslatingVcpu::emulate() {
  if (!run_helper()) return Leave::Undefined;
  clock().enter(VcpuTime::Guest);
  const Leave why = shared_.backend->resume(&context_);
  clock().enter(VcpuTime::Hypervisor);
  return why;
}

void TranslatingVcpu::take_data_abort() {
  context_.guest.it = context_.dispatch.mark().it;
  arm::take_data_abort(context_.guest, memory_.fault(), context_.dispatch.pc());
}

/// BKPT, or the breakpoint or vector catch at the instruction of Dispatch::at: nothing has changed since it was found.
void TranslatingVcpu::take_debug_event() {
  arm::CpuState& s = context_.guest;
  const u32 pc = context_.dispatch.pc();
  arm::Fault fault{
      .type = arm::FaultType::Debug, .debug = static_cast<arm::DebugEntry>(context_.dispatch.at->imm), .va = pc};
  if (fault.debug == arm::DebugEntry::None) fault.debug = arm::instruction_event(s, pc);
  s.it = context_.dispatch.mark().it;
  arm::take_prefetch_abort(s, fault, pc);
}

void TranslatingVcpu::enter_data_abort() {
  count(Counter::LightDataAbort);
  take_data_abort();
  resync();
}

/// At the instruction at `pc`, whose ITSTATE is `it`.
Exit TranslatingVcpu::stop_for_debugger(u32 pc, u8 it) {
  context_.guest.r[15] = pc;
  context_.guest.it = it;
  stops_.take();
  return Exit::Debug;
}

std::optional<Exit> TranslatingVcpu::leave_block(Leave why) {
  arm::CpuState& s = context_.guest;
  if (stops_.pending()) return stop_for_debugger(context_.dispatch.pc(), context_.dispatch.mark().it);
  switch (why) {
    case Leave::Lookup:
    case Leave::Attention: return {};
    case Leave::Sync: break;
    case Leave::Fault: take_data_abort(); break;
    case Leave::Undefined: raise(arm::Exception::Undefined); break;
    case Leave::Svc:
      arm::take_exception(s, arm::Exception::SupervisorCall, context_.dispatch.pc(), context_.dispatch.mark().bytes);
      break;
    case Leave::Bkpt: take_debug_event(); break;
    case Leave::Hvc: return hypercall(false);
    case Leave::Smc: return hypercall(true);
    case Leave::Wfi:
      s.r[15] = static_cast<u32>(context_.dispatch.at->imm);
      if (stops_.ends_step(s.r[15])) return stop_for_debugger(s.r[15], s.it);
      waited_ = !line_pending();
      if (waited_) return Exit::Wait;
      break;
    case Leave::Wfe:
      s.r[15] = static_cast<u32>(context_.dispatch.at->imm);
      if (stops_.ends_step(s.r[15])) return stop_for_debugger(s.r[15], s.it);
      if ((context_.dispatch.event.exchange(0) | s.event) == 0 && !line_pending()) return Exit::WaitEvent;
      s.event = 0;
      break;
    case Leave::Yield: s.r[15] = static_cast<u32>(context_.dispatch.at->imm); return Exit::Yield;
    case Leave::Hot:
      if (s.privileged()) windows_.tick();  // it may be that no interrupt ever comes
      if (!finder_.make_region()) break;
      return {};
    case Leave::Return: break;
    case Leave::Emulate: AV_UNREACHABLE();
    case Leave::EmulateLast:
      if (!run_helper()) raise(arm::Exception::Undefined);
      break;
    case Leave::Differs: return Exit::Differs;
  }
  views_.sync();
  return {};
}

std::optional<Exit> TranslatingVcpu::hypercall(bool smc) {
  const InsnMark at = context_.dispatch.mark();
  const u32 pc = context_.dispatch.pc();
  context_.guest.r[15] = context_.dispatch.at->disp;
  note_instructions();  // a mark reads it
  const u32 comment = static_cast<u32>(context_.dispatch.at->imm);
  context_.dispatch.block = nullptr;
  bool done;
  {
    VcpuCallMemory memory(context_.guest, shared_.ram, inbox_, memory_);
    done = comment == arm::k_semihosting_comment ? shared_.port.semihosting(context_.guest, index_, memory)
                                                 : shared_.port.hypercall(context_.guest, index_, smc, comment);
  }
  if (!done && comment == arm::k_semihosting_comment) {
    context_.guest.it = at.it;
    context_.guest.r[15] = pc;
    kick();
  } else if (!done) {
    context_.guest.it = at.it;
    arm::take_exception(context_.guest, arm::Exception::Undefined, pc, at.bytes);
  }
  inbox_.request_attention();
  views_.sync();
  return {};
}

void TranslatingVcpu::set_line(InputLine line, bool level) {
  if (level) {
    context_.dispatch.lines.fetch_or(line);
    inbox_.request_attention();
  } else {
    context_.dispatch.lines.fetch_and(~u32{line});
  }
}

void TranslatingVcpu::kick() {
  kicked_.store(true);
  inbox_.request_attention();
}

}  // namespace armvisor::engine
