#pragma once
// Capstone by dlopen: an independent disassembler for tests, which run without it where it is not installed.
#include <capstone/capstone.h>
#include <dlfcn.h>

#include <span>
#include <string>

#include "base/types.h"

namespace armvisor {

class Capstone {
 public:
  explicit Capstone(cs_mode mode) {
    lib_ = dlopen("libcapstone.so.4", RTLD_NOW);
    if (lib_ == nullptr) return;
    find(open_, "cs_open"), find(close_, "cs_close"), find(disasm_, "cs_disasm"), find(free_, "cs_free");
    ok_ = open_ && close_ && disasm_ && free_ && open_(CS_ARCH_ARM, mode, &handle_) == CS_ERR_OK;
  }
  Capstone(const Capstone&) = delete;
  Capstone& operator=(const Capstone&) = delete;
  ~Capstone() {
    if (ok_) close_(&handle_);
    if (lib_ != nullptr) dlclose(lib_);
  }
  bool ok() const { return ok_; }
  /// Mnemonic and operands of the first instruction, or empty.
  std::string text(std::span<const u8> code, u32 pc) const {
    cs_insn* insn = nullptr;
    const size_t n = disasm_(handle_, code.data(), code.size(), pc, 1, &insn);
    if (n == 0) return {};
    std::string s = std::string(insn->mnemonic) + " " + insn->op_str;
    free_(insn, n);
    return s;
  }

 private:
  template <class F>
  void find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(lib_, name));
  }

  void* lib_ = nullptr;
  bool ok_ = false;
  csh handle_ = 0;
  decltype(&cs_open) open_ = nullptr;
  decltype(&cs_close) close_ = nullptr;
  decltype(&cs_disasm) disasm_ = nullptr;
  decltype(&cs_free) free_ = nullptr;
};

}  // namespace armvisor
