#pragma once
// Capstone: an independent disassembler for tests.
#include <capstone/capstone.h>

#include <span>
#include <string>

#include "base/types.h"

namespace armvisor {

class Capstone {
 public:
  explicit Capstone(cs_mode mode) { ok_ = cs_open(CS_ARCH_ARM, mode, &handle_) == CS_ERR_OK; }
  Capstone(const Capstone&) = delete;
  Capstone& operator=(const Capstone&) = delete;
  ~Capstone() {
    if (ok_) cs_close(&handle_);
  }
  bool ok() const { return ok_; }
  /// Mnemonic and operands of the first instruction, or empty.
  std::string text(std::span<const u8> code, u32 pc) const {
    cs_insn* insn = nullptr;
    const size_t n = cs_disasm(handle_, code.data(), code.size(), pc, 1, &insn);
    if (n == 0) return {};
    std::string s = std::string(insn->mnemonic) + " " + insn->op_str;
    cs_free(insn, n);
    return s;
  }

 private:
  bool ok_ = false;
  csh handle_ = 0;
};

}  // namespace armvisor
