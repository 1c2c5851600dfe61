#pragma once
// A line to a peer that comes, goes and does not read, as the input says.
#include <string>

#include "devices/chardev/chardev.h"

namespace armvisor::fuzz {

/// Keeps what was said since it was last looked at.
struct Line final : devices::Chardev {
  bool full = false, there = true;
  std::string said;
  using Chardev::give;
  using Chardev::tell_opened;
  using Chardev::tell_writable;
  bool connected() const override { return there; }
  std::string filename() const override { return "fuzz"; }
  bool do_offer(std::span<const u8> bytes) override {
    if (full) return false;
    said.append(bytes.begin(), bytes.end());
    return true;
  }
  void do_write(std::span<const u8>) override {}
};

}  // namespace armvisor::fuzz
