#pragma once
// The clock of the board's PrimeCells. It has no registers: drivers learn its frequency from its node.
#include "devices/device_tree.h"

namespace armvisor::devices {

struct FixedClock {
  static constexpr u32 k_hz = 24'000'000;
  static void describe(TreeWriter& tree, const Site&) {
    tree.begin("apb-pclk");
    tree.phandle(Phandle::Clock);
    tree.text("compatible", "fixed-clock");
    tree.cells("#clock-cells", {0});
    tree.cells("clock-frequency", {k_hz});
    tree.text("clock-output-names", "clk24mhz");
    tree.end();
  }
};

}  // namespace armvisor::devices
