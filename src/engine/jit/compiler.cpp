#include "engine/jit/compiler.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/log_once.h"
#include "engine/context.h"
#include "engine/jit/move.h"
#include "engine/jit/side_tables.h"
#include "engine/lower.h"
#include "engine/vcpu.h"
#include "ir/passes/condition_values.h"
#include "ir/passes/join_conditions.h"

namespace armvisor::engine::jit {
namespace {

constexpr std::size_t k_shared_bytes = 8192, k_max_block_bytes = 256 * 1024;

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(const JitOptions& options) {
  return Compiler::create(options, make_code_generator(options));
}

Result<std::unique_ptr<Backend>> Compiler::create(const JitOptions& options, std::unique_ptr<CodeGenerator> generator) {
  AV_TRY_ASSIGN(CodeMemory memory, options.kept_code ? options.kept_code->take(options.code_bytes)
                                                     : CodeMemory::create(options.code_bytes));
  return std::unique_ptr<Backend>(new Compiler(std::move(memory), options, std::move(generator)));
}

Compiler::Compiler(CodeMemory memory, const JitOptions& options, std::unique_ptr<CodeGenerator> generator)
    : memory_(std::move(memory)), options_(options), generator_(std::move(generator)) {
  std::size_t size = k_shared_bytes;
  u8* const at = memory_.allocate(size, k_shared_bytes);
  const u8* const exec = memory_.to_exec(at);
  // With no TLB in place there is nothing that a window could stand for.
  const bool windows = (options.windows || options.windows_at_once) && options.inline_tlb;
  if (windows && generator_->start_windows(memory_.to_exec(memory_.rw()), memory_.size()))
    windows_ = options.windows_at_once ? Windows::AtOnce : Windows::On;
  const CodeGenerator::Shared shared = generator_->emit_shared({at, k_shared_bytes}, exec);
  generator_->flush(exec, shared.size);
  interpret_ = exec + shared.lookup;
  unknown_ = exec + shared.miss;
  if (options_.perf_map) open_perf_map();
  note_for_perf(exec, shared.size, "stubs_", 0);
}

Compiler::~Compiler() {
  if (options_.kept_code) options_.kept_code->give_back(std::move(memory_));
}

/// A file of ours and new: its name can be guessed, so anybody may have put a link there.
void Compiler::open_perf_map() {
  const std::string path = fmt::format("/tmp/perf-{}.map", ::getpid());
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
  explicit Workplace(Compiler& c) : emitter(c.generator_->make_emitter(c.sites_)) {}

  /// The block at `at` takes `size` bytes.
  void take(std::size_t size) {
    at += CodeMemory::rounded(size);
    left -= CodeMemory::rounded(size);
  }

  std::unique_ptr<BlockEmitter> emitter;
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
  for (std::size_t capacity = likely_capacity(best); capacity <= k_max_block_bytes; capacity = 2 * place->left) {
    if (!make_room(*place, capacity)) {
      if (best.head_count) return nullptr;
      return make_cold(best, key, options_.warm ? cold_runs() : k_stays_interpreted);
    }
    const Emitted emitted = emit(*place, best, *block);
    if (emitted.size == 0) continue;
    complete(*block, *place, emitted);
    if (options_.move_code && can_move(best, key)) block->relocs = std::make_shared<const Relocs>(place->relocs);
    place->take(emitted.size);
    return block;
  }
  return nullptr;
}

/// Emitted where it will stand.
Emitted Compiler::emit(Workplace& place, const ir::Block& ir_block, Block& out) {
  const std::size_t relocs_of_tables = place.relocs.size();
  const Emitted emitted = place.emitter->emit({place.at, place.left}, ir_block, out, place.relocs);
  if (emitted.size == 0) {
    for (u32 k = 0; k < out.link_count; ++k) out.links[k].patch = nullptr;
    place.relocs.resize(relocs_of_tables);
  }
  return emitted;
}

/// Of a block whose code has been emitted at `place`.
void Compiler::complete(Block& block, const Workplace& place, const Emitted& emitted) {
  const u8* const exec = memory_.to_exec(place.at);
  block.host_size = static_cast<u32>(emitted.size);
  block.host = exec;
  block.linked = exec + emitted.linked_entry;
  block.indirect = block.linked;
  block.patch_base = place.at;
  block.compiled = true;
  generator_->place(place.at, place.relocs, block, 0);
  generator_->flush(exec, emitted.size);
  if (emitted.window_table) generator_->watch_window(exec, emitted.size, exec + emitted.window_table);
  note_for_perf(block.host, emitted.size, "guest_", block.pc);
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
  auto block = jit::move(*generator_, known, pc, place->at, memory_.to_exec(place->at));
  place->take(known.host_size);
  note_for_perf(block->host, block->host_size, "guest_", pc);
  return block;
}

std::string Compiler::check_move(const Block& block, const ir::Block& elsewhere) {
  const auto made = make(elsewhere, block.key), moved = move(block, elsewhere.pc);
  std::string found;
  if (made && made->compiled && moved)
    found = made->can_move() ? difference(*generator_, *moved, *made) : "one can move only";
  if (made) release(*made);
  if (moved) release(*moved);
  return found;
}

Leave Compiler::execute(Context* context, Block* block) {
  return block->compiled ? generator_->run(context, block->host) : engine::execute(context, block);
}

Leave Compiler::resume(Context* context) { return generator_->run(context, context->dispatch.resume); }

/// Other vCPUs may be running through the jump.
void Compiler::set_jump(const Link& link, s32 jump) {
  __atomic_store_n(reinterpret_cast<s32*>(link.patch), jump, __ATOMIC_RELEASE);
  generator_->flush(memory_.to_exec(link.patch), sizeof jump);
}

void Compiler::link(Link& link, const Block& target) {
  if (link.patch && target.compiled) set_jump(link, generator_->jump(memory_.to_exec(link.patch), target.linked));
}

void Compiler::unlink(Link& link) {
  if (link.patch) set_jump(link, link.unlinked);
}

void Compiler::release(Block& block) {
  if (!block.compiled) return;
  const std::lock_guard guard(lock_);
  if (windows_ != Windows::Off && (block.key & k_key_window))
    generator_->watch_window(static_cast<const u8*>(block.host), block.host_size, nullptr);
  memory_.release(memory_.to_rw(block.host), block.host_size);
  full_ = false;
}

}  // namespace armvisor::engine::jit
