#include "engine/jit/compiler.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "arm/fp.h"
#include "base/log_once.h"
#include "engine/uop_functions.h"
#include "engine/jit/side_tables.h"
#include "engine/jit/move.h"
#include "engine/lower.h"
#include "engine/vcpu.h"
#include "ir/passes/condition_values.h"
#include "ir/passes/join_conditions.h"

namespace armvisor::engine::jit {
namespace {

constexpr std::size_t k_stub_bytes = 8192, k_max_block_bytes = 256 * 1024;
constexpr u32 k_mxcsr_default = 0x1f80, k_mxcsr_flags = 0x3f;

/// FPSCR.NZCV of a comparison: less N, equal Z and C, greater C, unordered C and V (A2.7.5). LAHF: CF 1, PF 4, ZF 64.
u32 fpscr_of_host_flags(u8 host) {
  if (host & 4) return 0x30000000;
  if (host & 64) return 0x60000000;
  return host & 1 ? 0x80000000 : 0x20000000;
}

/// Moves what generated code keeps of FPSCR there. Of the host's sticky flags (A2.7.3), MXCSR IE, ZE, OE, UE, PE are
/// IOC, DZC, OFC, UFC, IXC. DE has no counterpart outside flush-to-zero mode, in which generated code does no
/// arithmetic.
void fold_fp_flags(Context& c) {
  if (c.scratch.compared != 0) {
    c.guest.fpscr_nzcv = fpscr_of_host_flags(c.scratch.compared);
    c.scratch.compared = 0;
  }
  const u32 f = c.scratch.mxcsr & k_mxcsr_flags;
  if (f == 0) return;
  c.guest.fpscr_flags |= (f & 1) | (f >> 1 & 0x1e);
  c.scratch.mxcsr = k_mxcsr_default;
}

/// Generated code calls for this instruction.
const Uop* enter_service(Context* c, u64 uop) {
  const Uop* const u = reinterpret_cast<const Uop*>(uop);
  c->dispatch.at = u;
  c->dispatch.block = block_of(*u);
  return u;
}

u64 service_load(Context* c, u64 va, u64 uop, u64) {
  const Uop* u = enter_service(c, uop);
  u64 value = 0;
  if (!c->vcpu->load(static_cast<u32>(va), u->attr, u->attr2, value))
    c->dispatch.raised = static_cast<u32>(Leave::Fault);
  return value;
}

u64 service_store(Context* c, u64 va, u64 uop, u64 value) {
  const Uop* u = enter_service(c, uop);
  if (!c->vcpu->store(static_cast<u32>(va), u->attr, u->attr2, value))
    c->dispatch.raised = static_cast<u32>(Leave::Fault);
  return 0;
}

u64 service_window_load(Context* c, u64 va, u64 uop, u64) {
  const u64 value = service_load(c, va, uop, 0);
  if (!c->dispatch.raised)
    c->vcpu->window_missed(static_cast<u32>(va), c->dispatch.at->attr & ir::MemAttr::size_mask, false);
  return value;
}

u64 service_window_store(Context* c, u64 va, u64 uop, u64 value) {
  service_store(c, va, uop, value);
  if (!c->dispatch.raised)
    c->vcpu->window_missed(static_cast<u32>(va), c->dispatch.at->attr & ir::MemAttr::size_mask, true);
  return 0;
}

template <Leave Raises>
u64 service_helper(Context* c, u64, u64 uop, u64) {
  const Uop* u = enter_service(c, uop);
  c->counters.add(measure::Counter::CodeHelper);
  fold_fp_flags(*c);
  if (!u->helper(*c, *u)) c->dispatch.raised = static_cast<u32>(Raises);
  return 0;
}

u64 service_sync(Context* c, u64, u64, u64) {
  c->vcpu->resync();
  return 0;
}

u64 service_return(Context* c, u64 pc, u64, u64 psr) {
  c->vcpu->return_from_exception(static_cast<u32>(pc), static_cast<u32>(psr));
  return 0;
}

/// The vector, with CPSR.T in bit 0.
u64 service_abort(Context* c, u64, u64, u64) {
  c->vcpu->enter_data_abort();
  return c->guest.r[15] | u32{c->guest.thumb()};
}

u64 service_svc(Context* c, u64 next, u64, u64) {
  c->vcpu->supervisor_call(static_cast<u32>(next));
  return 0;
}

}  // namespace

Result<std::unique_ptr<Backend>> Compiler::create(const JitOptions& options) {
  AV_TRY_ASSIGN(CodeMemory memory, CodeMemory::create(options.code_bytes));
  return std::unique_ptr<Backend>(new Compiler(std::move(memory), options));
}

Result<std::unique_ptr<Backend>> make_backend(const JitOptions& options) { return Compiler::create(options); }

Compiler::Compiler(CodeMemory memory, const JitOptions& options)
    : memory_(std::move(memory)), options_(options), host_(HostFeatures::get()) {
  static constexpr ServiceFunction k_services[] = {service_load,
                                                   service_store,
                                                   service_window_load,
                                                   service_window_store,
                                                   service_helper<Leave::Fault>,
                                                   service_helper<Leave::Undefined>,
                                                   service_sync,
                                                   service_return,
                                                   service_abort,
                                                   service_svc};
  std::size_t stub_bytes = k_stub_bytes;
  u8* const at = memory_.allocate(stub_bytes, k_stub_bytes);
  // With no TLB in place there is nothing that a window could stand for.
  const bool windows = (options.windows || options.windows_at_once) && options.inline_tlb && WindowFaults::available();
  if (windows && faults_.create(memory_.to_exec(memory_.rw()), memory_.size()))
    windows_ = options.windows_at_once ? Windows::AtOnce : Windows::On;
  const StubOptions stub_options{.count_traps = options.count_traps,
                                 .inline_exceptions = options.inline_exceptions,
                                 .windows = windows_ != Windows::Off};
  stubs_ = emit_stubs(at, k_stub_bytes, stub_options, k_services);
  interpret_ = memory_.to_exec(at) + stubs_.lookup;
  unknown_ = memory_.to_exec(at) + stubs_.miss;
  enter_ = reinterpret_cast<Stubs::Enter>(reinterpret_cast<u64>(memory_.to_exec(at) + stubs_.enter));
  if (options_.perf_map) open_perf_map();
  note_for_perf(memory_.to_exec(at), stubs_.size, "stubs_", 0);
}

Compiler::~Compiler() = default;

/// A file of ours and new: its name can be guessed, so anybody may have put a link there.
void Compiler::open_perf_map() {
  const std::string path = "/tmp/perf-" + std::to_string(::getpid()) + ".map";
  ::unlink(path.c_str());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd >= 0)
    perf_map_.reset(::fdopen(fd, "w"));
  else
    AV_LOG_ONCE(Warn, "--jit perf-map: %s cannot be made: %s", path.c_str(), std::strerror(errno));
}

/// perf's interface for code that is generated: lines of address, size and name in a file that it finds by its name.
void Compiler::note_for_perf(const void* code, std::size_t size, const char* what, u32 pc) {
  if (perf_map_) std::fprintf(perf_map_.get(), "%zx %zx %s%08x\n", reinterpret_cast<std::size_t>(code), size, what, pc);
}

namespace {

/// `block` after the passes that only compiled code has.
const ir::Block& optimised(const ir::Block& block, const JitOptions& options, std::optional<ir::Block> (&made)[2]) {
  const ir::Block* best = &block;
  if (options.condition_values && (made[0] = ir::with_condition_values(*best))) best = &*made[0];
  if (options.join_conditions && (made[1] = ir::with_joined_conditions(*best))) best = &*made[1];
  return *best;
}

std::size_t likely_capacity(const ir::Block& block) { return 512 + 96 * block.insts.size(); }

}  // namespace

/// Where a thread makes a block: with memory taken in pieces, so that it need not hold the lock meanwhile.
struct Compiler::Workplace {
  explicit Workplace(Compiler& c) : emitter(c.memory_.rw(), c.stubs_, c.host_, c.options_, c.sites_) {}

  /// The block at `at` takes `size` bytes.
  void take(std::size_t size) {
    at += CodeMemory::rounded(size);
    left -= CodeMemory::rounded(size);
  }

  Emitter emitter;
  Relocs relocs;  ///< of the block that is being made
  u8* at = nullptr;
  std::size_t left = 0;
};

void Compiler::GiveBack::operator()(Workplace* place) const {
  const std::lock_guard guard(compiler->lock_);
  compiler->idle_.emplace_back(place);
}

/// One that nobody else has, until it goes.
Compiler::BorrowedWorkplace Compiler::borrow_workplace() {
  const GiveBack give_back{this};
  {
    const std::lock_guard guard(lock_);
    if (!idle_.empty()) {
      BorrowedWorkplace place(idle_.back().release(), give_back);
      idle_.pop_back();
      return place;
    }
  }
  return BorrowedWorkplace(new Workplace(*this), give_back);
}

/// False: the code memory has not got so much in one piece until dead blocks are freed.
bool Compiler::make_room(Workplace& place, std::size_t size) {
  if (place.left >= size) return true;
  const std::lock_guard guard(lock_);
  if (place.left != 0) memory_.release(place.at, place.left);
  place.left = 0;
  place.at = memory_.allocate(size, k_piece_bytes);
  if (!place.at) {
    for (const auto& idle : idle_)
      if (idle->left != 0) memory_.release(idle->at, std::exchange(idle->left, 0));
    place.at = memory_.allocate(size, k_piece_bytes);
  }
  if (!place.at) {
    full_ = true;
    return false;
  }
  place.left = size;
  return true;
}

std::unique_ptr<Block> Compiler::make(const ir::Block& ir_block, u32 key) {
  std::optional<ir::Block> made[2];
  const ir::Block& best = optimised(ir_block, options_, made);
  const auto place = borrow_workplace();
  place->relocs.clear();
  auto block = make_tables(best, key, place->relocs);
  if (!block) return nullptr;
  for (std::size_t capacity = std::max(likely_capacity(best), place->left); capacity <= k_max_block_bytes;
       capacity *= 2) {
    if (!make_room(*place, capacity)) {
      if (best.head_count) return nullptr;
      return make_cold(best, key, options_.warm ? cold_runs() : k_stays_interpreted);
    }
    if (const std::size_t size = emit(*place, best, *block)) {
      complete(*block, place->at, size, place->emitter);
      if (options_.move_code && can_move(best, key)) block->relocs = std::make_shared<const Relocs>(place->relocs);
      place->take(size);
      return block;
    }
  }
  return nullptr;
}

/// Emitted where it will stand: what the code refers to relative to itself is right in both mappings. Returns the
/// code's size; 0: there is not enough room in `place`.
std::size_t Compiler::emit(Workplace& place, const ir::Block& ir_block, Block& out) {
  const std::size_t relocs_of_tables = place.relocs.size();
  try {
    return place.emitter.compile(place.at, place.left, ir_block, out, place.relocs);
  } catch (const Xbyak::Error&) {
    for (u32 k = 0; k < out.link_count; ++k) out.links[k].patch = nullptr;
    place.relocs.resize(relocs_of_tables);
    return 0;
  }
}

/// Of a block whose code has been emitted at `at`.
void Compiler::complete(Block& block, u8* at, std::size_t size, const Emitter& emitter) {
  block.host_size = static_cast<u32>(size);
  block.host = memory_.to_exec(at);
  block.linked = memory_.to_exec(at + emitter.linked_entry());
  block.indirect = block.linked;
  block.patch_base = at;
  block.compiled = true;
  if (const std::size_t window_table = emitter.window_table()) faults_.set(memory_.to_exec(at), size, memory_.to_exec(at + window_table));
  note_for_perf(block.host, size, "guest_", block.pc);
}

std::unique_ptr<Block> Compiler::make_cold(const ir::Block& ir_block, u32 key, u32 runs) {
  auto block = engine::lower(ir_block, key);
  if (!block) return nullptr;
  block->host = block->linked = interpret_;
  block->indirect = unknown_;
  block->cold_runs = runs;
  return block;
}

std::unique_ptr<Block> Compiler::move(const Block& known, u32 pc) {
  const auto place = borrow_workplace();
  if (!make_room(*place, known.host_size)) return nullptr;
  auto block = jit::move(known, pc, place->at, memory_.to_exec(place->at));
  place->take(known.host_size);
  note_for_perf(block->host, block->host_size, "guest_", pc);
  return block;
}

std::string Compiler::check_move(const Block& block, const ir::Block& elsewhere) {
  const auto made = make(elsewhere, block.key), moved = move(block, elsewhere.pc);
  std::string found;
  if (made && made->compiled && moved) found = made->can_move() ? difference(*moved, *made) : "one can move only";
  if (made) release(*made);
  if (moved) release(*moved);
  return found;
}

Leave Compiler::execute(Context* context, Block* block) {
  if (!block->compiled) return engine::execute(context, block);
  const WindowFaults::Scope scope(running_faults());
  const Leave why = static_cast<Leave>(enter_(context, block->host));
  fold_fp_flags(*context);
  return why;
}

Leave Compiler::resume(Context* context) {
  const WindowFaults::Scope scope(running_faults());
  const Leave why = static_cast<Leave>(enter_(context, context->dispatch.resume));
  fold_fp_flags(*context);
  return why;
}

void Compiler::link(Link& link, const Block& target) {
  if (!link.patch || !target.compiled) return;
  const s64 distance = static_cast<const u8*>(target.linked) - (memory_.to_exec(link.patch) + 4);
  __atomic_store_n(reinterpret_cast<s32*>(link.patch), static_cast<s32>(distance), __ATOMIC_RELEASE);
}

void Compiler::unlink(Link& link) {
  if (link.patch) __atomic_store_n(reinterpret_cast<s32*>(link.patch), link.unlinked, __ATOMIC_RELEASE);
}

void Compiler::release(Block& block) {
  if (!block.compiled) return;
  const std::lock_guard guard(lock_);
  if (block.key & k_key_window) faults_.set(static_cast<const u8*>(block.host), block.host_size, nullptr);
  memory_.release(memory_.to_rw(block.host), block.host_size);
  full_ = false;
}

}  // namespace armvisor::engine::jit

bool armvisor::engine::jit_available() { return true; }
bool armvisor::engine::windows_available() { return jit::WindowFaults::available(); }
