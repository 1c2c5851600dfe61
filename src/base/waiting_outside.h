#pragma once
// A thread that others may want to stop says that it waits for somebody outside of the program (a server of a disk that
// may never answer), so that they do not wait for it.
//
// Where it says so is in the layers below; who is told is above them. What it was doing goes on when the waiting is
// over and nobody wants the thread stopped any more.

namespace armvisor {

class WaitingOutside {
 public:
  /// Of the calling thread.
  struct Listener {
    virtual void begins_to_wait() = 0;
    virtual void waited() = 0;  ///< may wait until the thread may go on

   protected:
    ~Listener() = default;
  };
  /// null: nobody wants to know.
  static void set_listener(Listener* listener) { listener_() = listener; }

  WaitingOutside() {
    if (listener_()) listener_()->begins_to_wait();
  }
  ~WaitingOutside() {
    if (listener_()) listener_()->waited();
  }
  WaitingOutside(const WaitingOutside&) = delete;
  WaitingOutside& operator=(const WaitingOutside&) = delete;

 private:
  static Listener*& listener_() {
    thread_local Listener* t_listener = nullptr;
    return t_listener;
  }
};

}  // namespace armvisor
