#pragma once
// What query-qmp-schema answers: commands and events, and the types of what they take and give, which have numbers for
// names, as in QEMU (docs/devel/qapi-code-gen.rst, "Client JSON Protocol introspection").
#include <nlohmann/json.hpp>

namespace armvisor::monitor {

/// Made from qmp_commands.inc and qmp_types.inc.
nlohmann::ordered_json qmp_schema();

}  // namespace armvisor::monitor
