/*
 * JdkArenas.java: arenas of the JDK, 22 or later, for peer_java.c.
 *
 * Reads "KIND BLOCKS SIZE LOOPS" from standard input: opens so many arenas,
 * takes so many blocks from each, writes to them, closes or drops it; answers
 * with "done".  JdkBuffers.java, which is found beside this file, reads it.
 */

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

public class JdkArenas {
    private static final long ALIGN = 16;

    // The last ones, so that the compiler cannot do without the segments.
    private static final MemorySegment[] kept = new MemorySegment[128];

    private static void take(SegmentAllocator from, int blocks, long size) {
        for (int i = 0; i < blocks; i++) {
            MemorySegment block = from.allocate(size, ALIGN);

            block.set(ValueLayout.JAVA_LONG, 0, 1);
            kept[i % kept.length] = block;
        }
    }

    private static void confined(int blocks, long size, long loops) {
        for (long i = 0; i < loops; i++) {
            try (Arena arena = Arena.ofConfined()) {
                take(arena, blocks, size);
            }
        }
    }

    private static void slicing(int blocks, long size, long loops) {
        for (long i = 0; i < loops; i++) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment all = arena.allocate(blocks * size, ALIGN);

                take(SegmentAllocator.slicingAllocator(all), blocks, size);
            }
        }
    }

    private static void shared(int blocks, long size, long loops) {
        for (long i = 0; i < loops; i++) {
            try (Arena arena = Arena.ofShared()) {
                take(arena, blocks, size);
            }
        }
    }

    // Until all are freed.
    private static void auto(int blocks, long size, long loops)
        throws Exception {
        for (long i = 0; i < loops; i++)
            take(Arena.ofAuto(), blocks, size);
        Arrays.fill(kept, null);
        JdkBuffers.collect();
    }

    private static void work(String kind, int blocks, long size, long loops)
        throws Exception {
        switch (kind) {
        case "confined":
            confined(blocks, size, loops);
            break;
        case "slicing":
            slicing(blocks, size, loops);
            break;
        case "shared":
            shared(blocks, size, loops);
            break;
        case "auto":
            auto(blocks, size, loops);
            break;
        default:
            throw new IllegalArgumentException(kind);
        }
    }

    public static void main(String[] args) throws Exception {
        JdkBuffers.serve(words -> {
            work(words[0], Integer.parseInt(words[1]),
                 Long.parseLong(words[2]), Long.parseLong(words[3]));
            return JdkBuffers.NONE;
        });
    }
}
