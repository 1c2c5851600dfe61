#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/log.h"

namespace armvisor {

/// What `work` writes to standard error. Where that is a pipe, messages of before may still be on their way (base/log.h):
/// they are written first, so that none of them comes in here.
inline std::string stderr_text_of(const std::function<void()>& work) {
  drain_messages();
  ::testing::internal::CaptureStderr();
  work();
  return ::testing::internal::GetCapturedStderr();
}

}  // namespace armvisor
