#include "devices/ninep/wire.h"

namespace armvisor::devices::ninep {

const u8* Reader::take(std::size_t size) {
  if (!ok_ || size > left_.size()) {
    ok_ = false;
    return nullptr;
  }
  const u8* const at = left_.data();
  left_ = left_.subspan(size);
  return at;
}

}  // namespace armvisor::devices::ninep
