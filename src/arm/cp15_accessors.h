#pragma once
// Accessors that rows of cp15.inc name. False from one of them: Undefined Instruction exception.
#include "arm/cp15.h"

namespace armvisor::arm {

using SysRead = bool (*)(CpuState&, SystemPort&, u64&);
using SysWrite = bool (*)(CpuState&, SystemPort&, u64);

#define AV_READERS(X)                                                                                        \
  X(read_ccsidr)                                                                                             \
  X(read_l2ctlr)                                                                                             \
  X(read_isr) /* cp15.cpp */                                                                                 \
  X(read_pmcr)                                                                                               \
  X(read_pmcnten)                                                                                            \
  X(read_pmovsr) X(read_pmselr) X(read_pmceid0) X(read_pmceid1) X(read_pmccntr) X(read_pmxevtyper)           \
      X(read_pmxevcntr) /* pmu.cpp */                                                                        \
      X(read_cntfrq) X(read_cntp_tval) X(read_cntp_ctl) X(read_cntp_cval) X(read_cntv_tval) X(read_cntv_ctl) \
          X(read_cntv_cval) X(read_cntpct) X(read_cntvct) /* generic_timer.cpp */
#define AV_WRITERS(X)                                                                                             \
  X(write_sctlr)                                                                                                  \
  X(write_cpacr)                                                                                                  \
  X(write_ttbr0_low)                                                                                              \
  X(write_ttbr1_low)                                                                                              \
  X(write_ttbr0) X(write_ttbr1) X(write_ttbcr) X(write_dacr) X(write_mair0) X(write_mair1) X(write_contextidr)    \
      X(write_iciallu) X(write_iciallu_is) X(write_icimvau) X(write_tlbiall) X(write_tlbiall_is) X(write_tlbimva) \
          X(write_tlbimva_is) X(write_tlbiasid) X(write_tlbiasid_is) X(write_tlbimvaa) X(write_tlbimvaa_is)       \
              X(write_ats1cpr) X(write_ats1cpw) X(write_ats1cur) X(write_ats1cuw) /* cp15_memory.cpp */           \
      X(write_pmcr) X(write_pmcntenset) X(write_pmcntenclr) X(write_pmovsr) X(write_pmovsset) X(write_pmswinc)    \
          X(write_pmselr) X(write_pmccntr) X(write_pmxevtyper) X(write_pmxevcntr) X(write_pmintenset)             \
              X(write_pmintenclr) /* pmu.cpp */                                                                   \
      X(write_cntp_tval) X(write_cntp_ctl) X(write_cntp_cval) X(write_cntv_tval) X(write_cntv_ctl) X(write_cntv_cval)

#define AV_DECLARE(name) bool name(CpuState& s, SystemPort& port, u64& value);
AV_READERS(AV_DECLARE)
#undef AV_DECLARE
#define AV_DECLARE(name) bool name(CpuState& s, SystemPort& port, u64 value);
AV_WRITERS(AV_DECLARE)
#undef AV_DECLARE
#undef AV_READERS
#undef AV_WRITERS

}  // namespace armvisor::arm
