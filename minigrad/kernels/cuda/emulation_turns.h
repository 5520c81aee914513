// The threads of an emulated block in turn instead of all at once, so that a missing barrier shows in the numbers.
//
// A thread runs until it waits in a barrier or ends, and then the next one runs. FIRST: always the one of lowest rank
// that can. LAST: always the one of highest rank. A GPU may run the threads in any order between two barriers. So a
// kernel whose result is not the same in both orders lacks a barrier: of two threads that touch one place, the one
// that writes comes before the other in one of these orders, and after it in the other.
//
// It finds what matters in every run, without a sanitizer; ThreadSanitizer finds more (two threads that write the same
// number), and says in which line. TOGETHER is the usual way: the system's threads, as they come.

#pragma once

#include <memory>
#include <semaphore>
#include <vector>

namespace emulation {

enum class Order { together, first, last };

// Only the thread that has the turn changes anything in here, so there is nothing to lock.
class Turns {
  public:
    Turns(Order order, unsigned size) : order(order), size(size), waits_for(size, nullptr) {
        if (order == Order::together) return;
        for (unsigned rank = 0; rank < size; ++rank) go.push_back(std::make_unique<std::counting_semaphore<>>(0));
        pass_on();
    }

    // Sleep until it is this thread's turn.
    void wait(unsigned rank) {
        if (order != Order::together) go[rank]->acquire();
    }

    // This thread waits for a barrier (or has ended, which it does for ever): the next one's turn.
    void leave(unsigned rank, const void* barrier) {
        if (order == Order::together) return;
        waits_for[rank] = barrier;
        pass_on();
    }

    void end(unsigned rank) { leave(rank, this); }

    // All that waited for the barrier can run again, and so can the one that opened it: begin anew with the first.
    void open(unsigned rank, const void* barrier) {
        if (order == Order::together) return;
        for (const void*& waited : waits_for)
            if (waited == barrier) waited = nullptr;
        pass_on();
        wait(rank);
    }

    // Let everybody go, so that the launch ends.
    void stop() {
        for (auto& one : go) one->release();
    }

  private:
    void pass_on() {
        for (unsigned i = 0; i < size; ++i) {
            const unsigned rank = order == Order::first ? i : size - 1 - i;
            if (waits_for[rank] == nullptr) return go[rank]->release();
        }
    }

    const Order order;
    const unsigned size;
    std::vector<const void*> waits_for;  // a barrier, or nullptr: it can run
    std::vector<std::unique_ptr<std::counting_semaphore<>>> go;
};

}  // namespace emulation
