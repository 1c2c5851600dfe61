#pragma once
// The engine contract: a vCPU that runs until something needs the machine. It says nothing of how it runs: by
// interpreting IR, by generated code, or by a host CPU in another mode.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arm/cpu_state.h"
#include "arm/external_debug.h"
#include "arm/semihosting.h"
#include "base/result.h"
#include "measure/snapshot.h"
#include "memory/guest_ram.h"
#include "mmu/policy.h"

namespace armvisor::ir {
struct Block;
}

namespace armvisor::engine {

class CallMemory;

/// What a vCPU needs of the machine while it runs. Called on the vCPU's own thread; implementations are thread-safe.
class MachinePort {
 public:
  /// Device access. `size` is 1, 2, 4 or 8. False: nothing there (external abort). RAM never comes here.
  virtual bool mmio_read(GuestPa pa, u32 size, u64& value) = 0;
  virtual bool mmio_write(GuestPa pa, u32 size, u64 value) = 0;
  /// A read-only or execute-in-place host view of the 4 KiB page at `pa` outside RAM (flash in read-array mode), or
  /// null. The view is valid until the engine is told by Engine::rom_changed().
  virtual const u8* rom_page(GuestPa pa) = 0;
  /// HVC or SMC (SMCCC; R0 holds the function). May change `s`. False: no such conduit, Undefined Instruction.
  virtual bool hypercall(arm::CpuState& s, u32 vcpu, bool smc, u32 comment) = 0;
  /// A semihosting call, where EngineConfig::semihosting has them. May change `s`; guest memory is touched by way of
  /// `memory`. False: the call is to be made again when run() is called next, which returns as kicked.
  virtual bool semihosting(arm::CpuState& s, u32 vcpu, CallMemory& memory) {
    (void)s, (void)vcpu, (void)memory;
    return true;
  }
  virtual u64 counter() = 0;  ///< system counter in ticks of CNTFRQ
  virtual void timer_changed(u32 vcpu, const arm::CpuState& s, bool virtual_timer) = 0;
  virtual void send_event() = 0;  ///< SEV

 protected:
  ~MachinePort() = default;
};

using MmuPolicy = mmu::Policy;
using TableHint = mmu::TableHint;  // docs/hypercalls.md
/// By the name a user gives: flush, asid, rmap or rmap+hints.
Result<MmuPolicy> parse_mmu_policy(std::string_view name);

/// Why Vcpu::run returned.
enum class Exit : u8 {
  Kicked,     ///< kick() was called, or a hypercall or MMIO access asked for it
  Wait,       ///< WFI with nothing pending: call run() again after an interrupt or kick
  WaitEvent,  ///< WFE likewise; a short sleep or an event ends it
  Yield,      ///< the guest spins; give the host CPU away
  Debug,      ///< an external debugger wanted it: Vcpu::debug_stop() says why
  Differs,    ///< --verify: compiled code did not do what the interpreter does; the machine should end
};

/// Why a vCPU has stopped for an external debugger: at the instruction of PC, which has not been executed.
struct DebugStop {
  enum class Why : u8 { Step, Breakpoint, Watchpoint };
  Why why = Why::Step;
  u32 address = 0;             ///< of the instruction; of a watchpoint, where it begins
  arm::ExternalWatch watch{};  ///< of a watchpoint
};

/// Interrupt inputs of a vCPU, written by the interrupt controller from any thread.
enum InputLine : u32 { k_line_irq = 1, k_line_fiq = 2 };

/// One virtual CPU. run() is called by one thread at a time; the methods marked (any thread) may be called by others.
class Vcpu {
 public:
  virtual ~Vcpu() = default;
  virtual Exit run() = 0;
  /// The architectural state; valid between runs and inside MachinePort calls of this vCPU.
  virtual arm::CpuState& state() = 0;
  /// Must follow a change of state() from outside run() (reset, CPU_ON, restore).
  virtual void state_changed() = 0;
  /// (any thread) Sets or clears interrupt inputs. A running vCPU notices within one block; a waiting one is the
  /// caller's to wake.
  virtual void set_line(InputLine line, bool level) = 0;
  virtual bool line_pending() const = 0;  ///< (any thread) any input is high, masked or not
  virtual void kick() = 0;                ///< (any thread) makes run() return soon
  /// From inside MachinePort::hypercall of this vCPU. Any arguments are sound; a hint that is wrong costs time only.
  virtual void table_hint(TableHint hint, GuestPa table, u32 level) = 0;
  virtual bool uses_table_hints() const = 0;  ///< they have an effect, with the policy in force
  virtual void set_event() = 0;               ///< (any thread) sets the event register (SEV)
  /// Between runs, with `on`: run() executes one instruction, or takes one exception, and returns Debug. If something
  /// else makes it return before, it goes on with that when it is called again. `interrupts`: these may be taken.
  virtual void step(bool on, bool interrupts) = 0;
  virtual const DebugStop& debug_stop() const = 0;  ///< after Exit::Debug
  /// Where its time goes. run() tells guest, hypervisor and devices apart; its caller says when it sleeps.
  measure::VcpuClock& clock() { return clock_; }
  const measure::VcpuClock& clock() const { return clock_; }

 private:
  measure::VcpuClock clock_;
};

/// All vCPUs of one machine: shares decoded or translated code among them, and is the RAM's write watch.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual Vcpu& vcpu(u32 index) = 0;
  virtual u32 vcpu_count() const = 0;
  virtual void rom_changed(GuestPa pa, u64 size) = 0;  ///< (any thread)
  /// Where all vCPUs stop for an external debugger. None of them may run.
  virtual void set_debug_stops(arm::ExternalStops stops) = 0;
  /// (any thread) Waits until another thread has compiled all that vCPUs have asked it for. For tests; no vCPU may run.
  virtual void await_compiler() = 0;
  virtual measure::Snapshot stats() const = 0;  ///< (any thread) without devices and marks
};

struct EngineConfig {
  u32 vcpus = 1;
  GuestRam* ram = nullptr;
  MachinePort* port = nullptr;
  /// When set, gives the IR at `pc` instead of the front end: tests of engines by IR alone.
  std::function<void(u32 pc, ir::Block& block)> translator;
  MmuPolicy mmu = MmuPolicy::Asid;
  bool trace = false;       ///< every translated block goes to stderr
  bool count_time = false;  ///< the clocks of the vCPUs run
  bool verify = false;      ///< compiled code is compared with the interpreter, block by block
  arm::Semihosting semihosting = arm::Semihosting::Off;
};

/// The reference: executes IR by interpretation.
std::unique_ptr<Engine> make_interpreter(const EngineConfig& config);

namespace jit {
class KeptCodeMemory;
}
/// Where an engine leaves its memory for generated code for the next one: of a machine that may make memory executable
/// only before it runs, and is made again by a reset. It lives as long as the engines.
std::shared_ptr<jit::KeptCodeMemory> keep_code_memory();

/// Choices of the compiling engine (jit_options.inc).
struct JitOptions {
#define JIT(member, name, audience, default_value, help) bool member = default_value;
#include "engine/jit_options.inc"
#undef JIT
  u64 code_bytes = 256u << 20;                       ///< bound of the code cache
  u64 hot = 2000;                                    ///< loops become regions when they have run this often
  std::shared_ptr<jit::KeptCodeMemory> kept_code{};  ///< null: each engine has its own
  u64 warm = 16;                                     ///< blocks are compiled when they have been interpreted this often
};
/// Compiles IR to host code. An error when this host has no code generator or no memory for code.
Result<std::unique_ptr<Engine>> make_jit(const EngineConfig& config, const JitOptions& options);
bool jit_available();
bool windows_available();  ///< host-MMU windows (JitOptions::windows) work on this host

/// Something that not every host has and that generated code makes use of where it is there. The environment's variable
/// ARMVISOR_HIDE, names separated by commas, hides some, so that what other hosts do can be seen on this one.
struct HostFeature {
  std::string_view name, use;
  bool usable;  ///< there, and not hidden
};
std::vector<HostFeature> host_features();
Status check_hidden_features();  ///< an error when ARMVISOR_HIDE has a name that is not known
/// Changes `options` as a list says: NAME or no-NAME of jit_options.inc, code=SIZE in MiB; separated by commas.
Status parse_jit_options(std::string_view list, JitOptions& options);
std::string jit_options_help(bool all);  ///< a line for each; otherwise for those that users have a use for
/// Changes `options` to a CPU virtualisation level by its name (trap_levels.inc).
Status set_trap_level(std::string_view name, JitOptions& options);

/// By the name a user gives: "interp", "jit", or "auto" for the fastest that this host has.
Result<std::unique_ptr<Engine>> make_engine(std::string_view name, const EngineConfig& config,
                                            const JitOptions& options = {});

}  // namespace armvisor::engine
