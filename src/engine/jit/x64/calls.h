#pragma once
// Calls of functions in C++ from generated code, and what must be in the context before one: the guest's registers that
// a region has elsewhere, units that are dirty, and the uop that stands for the instruction.
#include "engine/jit/x64/cold_paths.h"
#include "engine/jit/x64/stubs.h"

namespace armvisor::engine::jit {

class Calls {
 public:
  using Inst = ir::Inst;

  Calls(Code& code, const Position& at, Operands& operands, XmmRegisters& xmm, ColdPaths& cold, const Stubs& stubs)
      : code_(code), at_(at), operands_(operands), xmm_(xmm), cold_(cold), stubs_(stubs) {}

  void begin_block();
  /// rdx = the uop that stands for the current instruction, which knows its block.
  void name_uop();
  /// The registers are as Service says; `keep_xmm`: values in xmm registers stay there.
  void call_service(Service s, bool keep_xmm = false);
  /// A constant operand of a helper goes to memory as the others do.
  void place_constant(const Inst& i);
  /// In a region a copy may be newer than the context. Before whatever may look at the context or goes on elsewhere,
  /// park() stores the copies and gives borrowed host registers back to the guest registers they belong to.
  void park();
  void load_copies();
  /// A cold path at `slow` does the instruction in C++, for one whose code in place cannot: its operands are as now, and
  /// it goes on at `done` with the result where it is now.
  void add_slow_path(const Inst& i, Label slow, Label done);

 private:
  /// Where a value that is in an xmm register must be for C++ to see it.
  struct Parked {
    int x;
    ir::Value value;
    ir::Type type;
  };
  struct SlowPath {
    std::vector<Parked> operands;
    Parked result{-1, {}, ir::Type::V};
    bool keep = false;  ///< other values are in registers
  };
  SlowPath slow_path_of(const Inst& i) const;
  void emit_slow(const Inst& i, const SlowPath& path);

  Code& code_;
  const Position& at_;
  Operands& operands_;
  XmmRegisters& xmm_;
  ColdPaths& cold_;
  const Stubs& stubs_;
  std::vector<u32> uop_index_;  ///< place in Block::code of each instruction that has a uop
  std::vector<SlowPath> slow_;
};

}  // namespace armvisor::engine::jit
