// Any text as the value of --net.
#include <string_view>

#include "devices/backends/network_options.h"
#include "input.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  const auto o = devices::parse_network_option({reinterpret_cast<const char*>(data), size});
  if (!o && o.error().message.empty()) fuzz::fail("an error without a message");
  if (o && o->tap && o->link) fuzz::fail("two networks");
  return 0;
}
