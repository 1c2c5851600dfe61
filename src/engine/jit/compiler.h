#pragma once
// The compiling back end: blocks as code of the host, linked block to block. What the host's instruction set is, only the
// code generator knows.
#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <vector>

#include "base/adaptive_mutex.h"
#include "engine/backend.h"
#include "engine/jit/code_generator.h"
#include "engine/jit/code_memory.h"
#include "engine/jit/jit.h"

namespace armvisor::engine::jit {

class Compiler final : public Backend {
 public:
  static Result<std::unique_ptr<Backend>> create(const JitOptions& options, std::unique_ptr<CodeGenerator> generator);
  ~Compiler() override;

  std::unique_ptr<Block> make(const ir::Block& block, u32 key) override;
  u32 cold_runs() const override { return static_cast<u32>(options_.warm); }
  bool yields_spinners() const override { return options_.spin_yield; }
  Aside compiles_aside() const override {
    return options_.background_always ? Aside::Always : options_.background ? Aside::WithCpu : Aside::Never;
  }
  std::unique_ptr<Block> make_cold(const ir::Block& block, u32 key, u32 runs) override;
  std::unique_ptr<Block> move(const Block& known, u32 pc) override;
  std::string check_move(const Block& block, const ir::Block& elsewhere) override;
  Leave execute(Context* context, Block* block) override;
  Leave resume(Context* context) override;
  void link(Link& link, const Block& target) override;
  void unlink(Link& link) override;
  void retire(Block& block) override { block.indirect.store(unknown_, std::memory_order_relaxed); }
  void release(Block& block) override;
  bool over_limit() const override { return full_; }
  u64 capacity() const override { return options_.code_bytes; }
  bool counts_instructions() const override { return options_.count_instructions; }
  u32 hot() const override { return static_cast<u32>(options_.hot); }
  Windows windows() const override { return windows_; }
  void use_window(u64 base) override { generator_->use_window(base); }
  bool avoid_window(u32 pc) override { return sites_.missed(pc); }

 private:
  struct Workplace;
  struct GiveBack {
    Compiler* compiler;
    void operator()(Workplace* place) const;
  };
  using BorrowedWorkplace = std::unique_ptr<Workplace, GiveBack>;

  Compiler(CodeMemory memory, const JitOptions& options, std::unique_ptr<CodeGenerator> generator);
  BorrowedWorkplace borrow_workplace();
  bool make_room(Workplace& place, std::size_t size);
  Emitted emit(Workplace& place, const ir::Block& ir_block, Block& out);
  void complete(Block& block, const Workplace& place, const Emitted& emitted);
  void set_jump(const Link& link, s32 jump);
  void open_perf_map();
  void note_for_perf(const void* code, std::size_t size, const char* what, u32 pc);

  CodeMemory memory_;
  const JitOptions options_;
  const std::unique_ptr<CodeGenerator> generator_;
  const void* interpret_ = nullptr;  ///< Block::host of blocks without code
  const void* unknown_ = nullptr;    ///< Block::indirect of these and of dead blocks
  AdaptiveMutex lock_;               ///< of memory_ and idle_; taken after the code cache's lock
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> perf_map_{nullptr, std::fclose};
  std::atomic<bool> full_{false};
  Windows windows_ = Windows::Off;
  WindowSites sites_;
  static constexpr std::size_t k_piece_bytes = 64 * 1024;  ///< what a workplace takes of the memory at a time, at most
  std::vector<std::unique_ptr<Workplace>> idle_;
};

}  // namespace armvisor::engine::jit
