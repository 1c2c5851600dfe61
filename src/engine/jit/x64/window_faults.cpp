#include "engine/jit/x64/window_faults.h"

#include <signal.h>
#include <ucontext.h>

#include "engine/jit/x64/host_features.h"
#include "mmu/window.h"

namespace armvisor::engine::jit {
namespace {

// A signal handler has nothing but globals to go by.
thread_local const WindowFaults* t_running = nullptr;
struct sigaction g_previous;

void handle(int number, siginfo_t* info, void* context) {
  auto& pc = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  u64 base;  // generated code sets it by itself
  asm volatile("rdgsbase %0" : "=r"(base));
  const u64 offset = reinterpret_cast<u64>(info->si_addr) - base;
  if (const WindowFaults* const faults = t_running; faults && offset < mmu::Window::k_bytes) {
    if (const u8* const cold = faults->cold_path(reinterpret_cast<const u8*>(pc))) {
      pc = reinterpret_cast<greg_t>(cold);
      return;
    }
  }
  if (g_previous.sa_flags & SA_SIGINFO)
    g_previous.sa_sigaction(number, info, context);
  else if (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN)
    g_previous.sa_handler(number);
  else
    ::sigaction(number, &g_previous, nullptr);  // it comes again
}

bool install() {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  return ::sigaction(SIGSEGV, &action, &g_previous) == 0;
}

}  // namespace

bool WindowFaults::available() {
  static const bool installed = HostFeatures::get().fsgsbase && install();
  return installed;
}

bool WindowFaults::create(const u8* code, std::size_t size) {
  const std::size_t bytes = (size / k_grain + 1) * sizeof(u32);
  void* const p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  index_ = Mapping(p, bytes);
  code_ = code;
  size_ = size;
  return true;
}

void WindowFaults::set(const u8* block, std::size_t size, const u8* table) {
  u32* const index = reinterpret_cast<u32*>(index_.data());
  const u32 entry = table ? static_cast<u32>(table - code_) / 4 + 1 : 0;
  const std::size_t first = static_cast<std::size_t>(block - code_) / k_grain;
  const std::size_t last = static_cast<std::size_t>(block - code_ + size - 1) / k_grain;
  for (std::size_t k = first; k <= last; ++k) __atomic_store_n(&index[k], entry, __ATOMIC_RELEASE);
}

const u8* WindowFaults::cold_path(const u8* pc) const {
  if (pc < code_ || pc >= code_ + size_) return nullptr;
  const u32* const index = reinterpret_cast<const u32*>(index_.data());
  const u32 entry = __atomic_load_n(&index[static_cast<std::size_t>(pc - code_) / k_grain], __ATOMIC_ACQUIRE);
  if (entry == 0) return nullptr;
  const u8* const at = code_ + std::size_t{entry - 1} * 4;
  const auto& table = *reinterpret_cast<const WindowTable*>(at);
  for (u32 k = 0; k < table.count; ++k)
    if (at - table.sites[k].access == pc) return at - table.sites[k].cold;
  return nullptr;
}

WindowFaults::Scope::Scope(const WindowFaults* faults) { t_running = faults; }
WindowFaults::Scope::~Scope() { t_running = nullptr; }

void set_window_base(u64 base) { asm volatile("wrgsbase %0" ::"r"(base)); }

}  // namespace armvisor::engine::jit
