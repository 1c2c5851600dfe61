#pragma once
// vCPUs of a Machine on host threads of their own, and what guest code of several vCPUs needs to go in step.
#include <sched.h>

#include <thread>
#include <vector>

#include "engine_machine.h"
#include "vmm/a32_assembler.h"

namespace armvisor::engine::test {

/// Keeps the calling thread on one of the host CPUs that it may use, the n-th, so that vCPUs do run at the same time.
inline void stay_on_host_cpu(u32 n) {
  cpu_set_t may, one;
  if (sched_getaffinity(0, sizeof may, &may) != 0) return;
  n %= static_cast<u32>(CPU_COUNT(&may));
  for (u32 cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &may) || n-- != 0) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

/// Runs vCPU k on a thread from starts[k] until it stops, for all k.
inline void run_on_threads(Machine& m, const std::vector<u32>& starts) {
  std::vector<std::thread> threads;
  for (u32 k = 0; k < starts.size(); ++k)
    threads.emplace_back([&m, k, pc = starts[k]] {
      stay_on_host_cpu(k);
      Exit exit = m.run(pc, k);
      while (exit == Exit::Yield) {  // it waits for another vCPU, which may need this host CPU
        std::this_thread::yield();
        exit = m.engine->vcpu(k).run();
      }
      EXPECT_EQ(exit, Exit::Kicked);
    });
  for (auto& t : threads) t.join();
}

inline constexpr u32 k_dmb = 0xf57ff05b, k_yield = 0xe320f001;

inline void emit(Machine& m, u32 address, const std::vector<u32>& words) {
  for (const u32 word : words) {
    m.put32(address, word);
    address += 4;
  }
}

/// Waits until the word at [rn + offset] is at least r_round: first so that it goes on at once, in step with the vCPU
/// that wrote the word, then without keeping the host CPU from others. Uses R9 and R14.
inline void wait_for(vmm::A32Assembler& a, u32 rn, u32 offset, u32 r_round) {
  constexpr u32 k_looks = 400;
  const u32 patiently = a.here();
  a.mov(9, k_looks);
  const u32 again = a.here();
  a.ldr(14, rn, offset);
  a.word(0xe1500000 | 14u << 16 | r_round);  // cmp r14, r_round
  const u32 out = a.forward(0xa0000000);     // bge
  a.subs(9, 9, 1);
  a.branch(again, a.k_not_equal);
  a.word(k_yield);
  a.branch(patiently);
  a.land(out);
}

/// All of `count` vCPUs come here before any goes on. The words at [rn + 64 * k] belong to vCPU k; r_round counts.
inline void meet(vmm::A32Assembler& a, u32 self, u32 count, u32 rn, u32 r_round) {
  a.word(k_dmb);
  a.add(r_round, r_round, 1);
  a.str(r_round, rn, 64 * self);
  for (u32 k = 0; k < count; ++k)
    if (k != self) wait_for(a, rn, 64 * k, r_round);
  a.word(k_dmb);
}

}  // namespace armvisor::engine::test
