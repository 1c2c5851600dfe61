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
  Result run(const Case& c);
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
