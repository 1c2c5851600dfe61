#pragma once
// Turns IR blocks into x86-64 code: plans a block, then goes through it once and hands each instruction to the emitter
// of its kind, hot code first, then the cold paths that it jumped out to.
//
// Emitters have what they need of each other by reference, and stand here in that order. What they remember is of one
// block: begin_block() makes it forget the last, which need not have come to its end.
#include "engine/jit/code_generator.h"
#include "engine/jit/x64/bank_emitter.h"
#include "engine/jit/x64/branch_emitter.h"
#include "engine/jit/x64/dsp_emitter.h"
#include "engine/jit/x64/entry.h"
#include "engine/jit/x64/exclusive_emitter.h"
#include "engine/jit/x64/extension_emitter.h"
#include "engine/jit/x64/integer_emitter.h"
#include "engine/jit/x64/memory_emitter.h"
#include "engine/jit/x64/system_emitter.h"
#include "engine/jit/x64/vector_emitter.h"

namespace armvisor::engine::jit {

class Emitter final : public BlockEmitter {
 public:
  Emitter(const Stubs& stubs, const HostFeatures& host, const JitOptions& options, const WindowSites& sites);

  Emitted emit(std::span<u8> rw, const ir::Block& block, Block& out, Relocs& relocs) override;

 private:
  void begin_block(const ir::Block& block, Block& out);
  void emit_all();
  void emit(const ir::Inst& i);
  bool emit_in_part(const ir::Inst& i);

  const HostFeatures& host_;
  const JitOptions& options_;
  Plan plan_;  ///< of the block at hand; kept for its memory
  Code code_;
  Position at_;
  Operands operands_;
  XmmRegisters xmm_;
  ColdPaths cold_;
  Calls calls_;
  ExtensionEmitter extension_;
  DspEmitter dsp_;
  VectorEmitter vector_;
  FpEmitter fp_;
  FlagEmitter flags_;
  IntegerEmitter integers_;
  MemoryEmitter memory_;
  Exits exits_;
  Entry entry_;
  Traps traps_;
  ExclusiveEmitter exclusives_;
  BankEmitter banks_;
  SystemEmitter system_;
  BranchEmitter branches_;
};

}  // namespace armvisor::engine::jit
