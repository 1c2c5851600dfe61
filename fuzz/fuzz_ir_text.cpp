// Any text as IR: what the parser accepts prints to text that it accepts and that prints the same.
#include <string>

#include "input.h"
#include "ir/ir.h"

using namespace armvisor;

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  ir::Block block;
  std::string error;
  if (!ir::parse({reinterpret_cast<const char*>(data), size}, block, error)) return 0;
  (void)ir::verify(block);
  const std::string text = ir::print(block);
  ir::Block again;
  if (!ir::parse(text, again, error)) fuzz::fail(error.c_str(), text.c_str());
  if (ir::print(again) != text) fuzz::fail("the text form changed on its way through the parser", text.c_str());
  return 0;
}
