#pragma once
// The machine's objects as a tree, as QEMU's QOM has one: what qom-list, qom-get and "info qom-tree" show of those that
// MachineControl::objects() tells.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "monitor/control.h"

namespace armvisor::monitor {

/// The properties of an object, and its children, with their types. `path`: from the root, or the last parts of one
/// that nothing else has. An Error of kind BadInput: there is no such object.
Result<nlohmann::ordered_json> list_object(const std::vector<ObjectInfo>& objects, std::string_view path);
/// The value of a property.
Result<nlohmann::ordered_json> get_property(const std::vector<ObjectInfo>& objects, std::string_view path,
                                            std::string_view property);
/// A line for each object below `path`, indented.
std::string object_tree(const std::vector<ObjectInfo>& objects, const std::string& path);

}  // namespace armvisor::monitor
