#pragma once
// Program status registers (ARM DDI 0406C B1.3.3) and processor modes (B1.3.1).
#include "base/bits.h"
#include "base/types.h"

namespace armvisor::arm {

inline constexpr u32 k_mode_usr = 0x10, k_mode_fiq = 0x11, k_mode_irq = 0x12, k_mode_svc = 0x13, k_mode_mon = 0x16,
                     k_mode_abt = 0x17, k_mode_hyp = 0x1a, k_mode_und = 0x1b, k_mode_sys = 0x1f;

inline constexpr u32 k_psr_n = 1u << 31, k_psr_z = 1u << 30, k_psr_c = 1u << 29, k_psr_v = 1u << 28, k_psr_q = 1u << 27,
                     k_psr_it_low = 3u << 25, k_psr_j = 1u << 24, k_psr_ge = 15u << 16, k_psr_it_high = 63u << 10,
                     k_psr_e = 1u << 9, k_psr_a = 1u << 8, k_psr_i = 1u << 7, k_psr_f = 1u << 6, k_psr_t = 1u << 5,
                     k_psr_mode = 31u;

/// Condition codes (A8.3), as encoded.
enum class Cond : u8 { EQ, NE, CS, CC, MI, PL, VS, VC, HI, LS, GE, LT, GT, LE, AL, NV };

/// Banks of R13, R14 and SPSR. USR and SYS share bank Usr, which has no SPSR.
enum class Bank : u8 { Usr, Fiq, Irq, Svc, Abt, Und, Count };

/// True for the seven modes of this CPU (no Security or Virtualization Extensions).
constexpr bool mode_is_valid(u32 mode) {
  switch (mode & k_psr_mode) {
    case k_mode_usr:
    case k_mode_fiq:
    case k_mode_irq:
    case k_mode_svc:
    case k_mode_abt:
    case k_mode_und:
    case k_mode_sys: return true;
    default: return false;
  }
}

constexpr Bank bank_of(u32 mode) {
  switch (mode & k_psr_mode) {
    case k_mode_fiq: return Bank::Fiq;
    case k_mode_irq: return Bank::Irq;
    case k_mode_svc: return Bank::Svc;
    case k_mode_abt: return Bank::Abt;
    case k_mode_und: return Bank::Und;
    default: return Bank::Usr;
  }
}

/// ITSTATE (A2.5.2) as stored in a PSR, gathered and scattered.
constexpr u8 it_from_psr(u32 psr) { return static_cast<u8>(bits<15, 10>(psr) << 2 | bits<26, 25>(psr)); }
constexpr u32 it_to_psr(u8 it) { return u32(it >> 2) << 10 | u32(it & 3) << 25; }

}  // namespace armvisor::arm
