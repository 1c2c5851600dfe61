#pragma once
// Ends of the program that no Result leads to.
namespace armvisor::cli {

/// Before any thread exists: an exception that nobody catches, on whatever thread, ends the program with a message. A
/// lack of memory has the exit status of one; anything else is a defect and aborts.
void guard_against_exceptions();

}  // namespace armvisor::cli
