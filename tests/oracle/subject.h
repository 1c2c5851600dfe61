#pragma once
// The subject: an engine of ours, driven through the engine contract only.
#include <memory>

#include "engine/engine.h"
#include "oracle/case.h"

namespace armvisor::oracle {

class Subject {
 public:
  explicit Subject(const char* engine, const engine::JitOptions& options = {});
  ~Subject();
  /// Runs `c` until it raises or reaches `stop` (the reference's next PC, `stop_thumb` its instruction set), where an
  /// undefined instruction is laid for the time of the run.
  Result run(const Case& c, u32 stop, bool stop_thumb);
  u8* ram(u32 address);
  /// Writes code, telling the engine.
  void write_code(u32 address, const void* bytes, std::size_t size);

 private:
  struct World;
  std::unique_ptr<World> world_;
};

}  // namespace armvisor::oracle
