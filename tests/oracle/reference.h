#pragma once
// The reference: Unicorn's Cortex-A15.
#include <memory>
#include <vector>

#include "oracle/case.h"

namespace armvisor::oracle {

class Reference {
 public:
  Reference();
  ~Reference();
  /// `new_code`: the bytes at k_code are not those of the last run.
  Result run(const Case& c, bool new_code);
  u8* ram(u32 address) { return ram_.get() + (address - k_ram_base); }

 private:
  struct Engine;
  std::unique_ptr<Engine> engine_;
  struct Free {
    void operator()(u8* p) const;
  };
  std::unique_ptr<u8, Free> ram_;
};

}  // namespace armvisor::oracle
