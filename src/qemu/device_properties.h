#pragma once
// Properties of devices beside those that say what a device is: -device, and -global for all of a driver.
#include "qemu/device_kinds.h"
#include "qemu/line.h"

namespace armvisor::qemu {

/// Gives each -device the properties that a -global names for its driver, and says what becomes of the others.
void apply_globals(Line& line);

/// What is left of a device's properties: those that show in no guest are ignored (device_properties.inc), and others
/// refused.
void finish_properties(Line& line, const Given& given, KeyValues& properties, const DeviceRow& row);

}  // namespace armvisor::qemu
