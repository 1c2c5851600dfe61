// The back end that interprets.
#include "engine/backend.h"
#include "engine/context.h"
#include "engine/lower.h"

namespace armvisor::engine {
namespace {

class InterpreterBackend final : public Backend {
 public:
  std::unique_ptr<Block> make(const ir::Block& block, u32 key) override { return lower(block, key); }
  Leave execute(Context* context, Block* block) override { return engine::execute(context, block); }
};

}  // namespace

std::unique_ptr<Backend> make_interpreter_backend() { return std::make_unique<InterpreterBackend>(); }

}  // namespace armvisor::engine
