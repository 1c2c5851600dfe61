#pragma once
// What uops and generated code address, by offsets from a Context: the guest's architectural state, where control is,
// what may be done in place, the host's scratch with the frame of temps, and large tables.
#include <algorithm>
#include <atomic>
#include <iterator>

#include "arm/cpu_state.h"
#include "engine/block.h"
#include "measure/counters.h"
#include "mmu/soft_tlb.h"

namespace armvisor::engine {

class GuestMemory;
class SystemEffects;
class TranslatingVcpu;
class VcpuStops;
class Windows;

/// Direct-mapped cache from program counter to block, private to a vCPU. An entry holds while its tag is View::tag with
/// the program counter and CPSR.T in the low word: no flush has touched what it depends on (mmu::ExecEpoch).
struct JumpEntry {
  u64 tag = 0;
  Block* block = nullptr;
};
inline constexpr u32 k_jump_entries = 32768;
/// The index is bits 15:1 of pc ^ pc >> k_jump_shift ^ salt.
inline constexpr u32 k_jump_shift = 12, k_jump_mask = (k_jump_entries - 1) << 1;
constexpr u32 jump_index(u32 pc, u32 salt) { return ((pc ^ pc >> k_jump_shift ^ salt) & k_jump_mask) >> 1; }
/// View::salt of a space.
constexpr u32 jump_salt(u32 space) { return (space * 0x4d6) & k_jump_mask; }

/// A loop that blocks on their own have closed JitOptions::hot times becomes a region.
inline constexpr u32 k_heat_entries = 4096;
constexpr u32 heat_index(u32 pc) { return (pc >> 1 ^ pc >> 11) & (k_heat_entries - 1); }

inline constexpr u32 k_temp_bytes = 24 * 1024;

/// What the engine derives from the state for one privilege. Context has the members of the current one in this order.
struct View {
  mmu::TlbEntry* tlb = nullptr;
  u64* exec = nullptr;
  u64 tag = 0;          ///< of jump entries, less the program counter
  u32 key[2] = {0, 0};  ///< base_key outside IT blocks, by CPSR.T
  u32 salt = 0;         ///< see jump_index
  u32 fp = 0;           ///< the rest of the key
};

/// The views of both privileges with one value of DACR, which kernels change to and fro.
struct Views {
  static constexpr u64 k_no_dacr = ~u64{0};
  u64 dacr = k_no_dacr;  ///< k_no_dacr: these are no views
  mmu::Space* space = nullptr;
  Views* other = nullptr;
  // By privilege.
  u64 window[2] = {0, 0};  ///< GS base of its blocks (windows.cpp), 0 if they need none
  View view[2];
};

/// Where control is and where it may go on. The dispatcher, uops and generated code write it, on the vCPU's thread;
/// other threads set attention, lines and event.
struct Dispatch {
  View now;                ///< of the current privilege
  Views* views = nullptr;  ///< for the current DACR
  Views kept_views[2];
  u64 views_changes = 0;  ///< SoftTlb::changes() that the kept views are of
  /// The Views::window that unprivileged blocks may be entered with at once; with others, C++ goes first.
  u64 window_ready = 0;
  u64 gs_base = 0;                ///< the host's, as far as known
  std::atomic<u32> attention{0};  ///< not 0: go to the dispatcher at the next block boundary
  std::atomic<u32> lines{0};      ///< interrupt inputs that are high, InputLine
  std::atomic<u8> event{0};       ///< the event register, for SEV
  bool yield = false;             ///< with attention: run() is left with Exit::Yield
  Block* block = nullptr;         ///< being executed
  const Uop* at = nullptr;        ///< the uop that left the block, or is in a slow path
  Link* link = nullptr;           ///< the exit to connect when r15's block is found
  u64 instructions = 0;
  const void* resume = nullptr;  ///< generated code: where it goes on after Leave::Emulate
  u32 raised = 0;                ///< generated code: a service raised an exception; a Leave
  bool world_switched = false;   ///< the dispatcher runs a helper for generated code: a heavy trap, not a light one

  /// Of the instruction of `at`.
  const InsnMark& mark() const { return block->mark_of(at); }
  u32 pc() const { return block->pc + mark().offset; }
};

inline constexpr u8 k_no_simple_bank = 0x80;

/// What uops and generated code do in place, and when they ask C++ instead: it is given to them, and only
/// `barriers_left` is changed by them.
struct Policy {
  bool has_tickets = false;               ///< a barrier must wait for requests to other vCPUs
  s32 barriers_left = 0;                  ///< below 0, or with has_tickets, a barrier of privileged code goes to C++
  u64 host_to_pa = 0;                     ///< physical address of RAM - its host address
  u64 debug_filter = 0;                   ///< arm::instruction_filter of the debug registers
  const void* exclusive_slots = nullptr;  ///< ExclusiveTable's
  /// By mode: arm::Bank, or k_no_simple_bank for invalid modes and FIQ, whose R8-R12 are banked too.
  u8 simple_bank[32] = {};
};

/// What code leaves for the code right behind it. Of the members of generated code, C++ knows what mxcsr and compared
/// have of FPSCR.
struct Scratch {
  V128 zero;           ///< operand that reads as 0
  V128 unread;         ///< result that nobody reads
  u32 mxcsr = 0x1f80;  ///< generated code: the host's FP control and sticky flags
  u8 compared = 0;     ///< generated code: the host's flags of the last VCMP, as LAHF has them; 0: see CpuState
  u8 edge = 0;         ///< generated code: how control came to the last head; see jit::Edge
  u32 flag_operands[2] = {0, 0};  ///< generated code: see jit::Edge::saved
  u64 saved[2] = {};              ///< generated code: within one instruction
  u64 lent[2] = {};               ///< generated code: its registers for temps, then
  alignas(16) u8 temps[k_temp_bytes];
};

struct Context {
  arm::CpuState guest;
  Dispatch dispatch;
  // What uops and generated code call.
  TranslatingVcpu* vcpu = nullptr;
  GuestMemory* memory = nullptr;
  Windows* windows = nullptr;
  SystemEffects* system = nullptr;
  Policy policy;
  measure::Counters counters;
  Scratch scratch;
  u32 heat[k_heat_entries] = {};  ///< generated code: by heat_index, how often loops there may yet run
  JumpEntry jump[k_jump_entries];
  VcpuStops* stops = nullptr;  ///< of who calls C++

  void forget_jumps() { std::fill(std::begin(jump), std::end(jump), JumpEntry{}); }
};

/// Runs blocks from `block` on until something needs the dispatcher.
Leave execute(Context* context, Block* block);
/// Handler addresses by Kind, for Uop::handler.
const void* const* handlers();

}  // namespace armvisor::engine
