// Any words as a command line of qemu-system-arm, one on a line each.
#include <algorithm>
#include <string>

#include "input.h"
#include "qemu/explain.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  std::vector<std::string> words;
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  qemu::Line line = qemu::read_line(words);
  const qemu::Machine machine = qemu::make_machine(line);
  for (const qemu::Outcome& o : line.outcomes.all())
    if (o.fate != qemu::Fate::Mapped && o.why.empty()) fuzz::fail("an outcome without a reason", o.option.c_str());
  if (machine.vm.devices.size() != machine.vm.seats.size()) fuzz::fail("a device without a slot");
  if (!line.help && qemu::explain(line, machine).empty()) fuzz::fail("no account of a line");
  return 0;
}
