#pragma once
// What becomes of a machine whose watchdog was not reloaded in time, as QEMU's -action watchdog= has it.
#include <string_view>

namespace armvisor::vmm {

enum class WatchdogAction { Reset, Shutdown, PowerOff, Pause, Debug, None, InjectNmi };

struct WatchdogActionRow {
  std::string_view name;  ///< QEMU's
  WatchdogAction action;
  std::string_view text;
};
inline constexpr WatchdogActionRow k_watchdog_actions[] = {
    {"reset", WatchdogAction::Reset, "a watchdog that is not reloaded resets the machine"},
    {"shutdown", WatchdogAction::Shutdown, "a watchdog that is not reloaded presses the power button"},
    {"poweroff", WatchdogAction::PowerOff, "a watchdog that is not reloaded ends the machine"},
    {"pause", WatchdogAction::Pause, "a watchdog that is not reloaded stops the machine"},
    {"debug", WatchdogAction::Debug, "a watchdog that is not reloaded is said on standard error"},
    {"none", WatchdogAction::None, "monitors are told of a watchdog that is not reloaded"},
    {"inject-nmi", WatchdogAction::InjectNmi,
     "monitors are told of a watchdog that is not reloaded: ARM's virt board has no NMI"},
};

}  // namespace armvisor::vmm
