/*
 * JdkArenas.java: arenas of the JDK, 22 or later, for peer_java.c.
 *
 * Reads "KIND BLOCKS SIZE LOOPS" from standard input: opens so many arenas,
 * takes so many blocks from each, writes to them, closes or drops it; answers
 * with "done".
 */

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;

public class JdkArenas {
    private static final long ALIGN = 16;
    private static final long FEW = 16; // the JDK's own

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

    private static BufferPoolMXBean pool() {
        for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(
                 BufferPoolMXBean.class)) {
            if (pool.getName().equals("direct"))
                return pool;
        }
        throw new IllegalStateException("no pool of direct buffers");
    }

    // Until all are freed.
    private static void auto(int blocks, long size, long loops)
        throws Exception {
        BufferPoolMXBean pool = pool();

        for (long i = 0; i < loops; i++)
            take(Arena.ofAuto(), blocks, size);
        Arrays.fill(kept, null);
        System.gc();
        while (pool.getCount() > FEW)
            Thread.sleep(0, 100000);
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
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in));
        String line;

        System.out.println("ready");
        while ((line = in.readLine()) != null) {
            String[] words = line.split(" ");

            work(words[0], Integer.parseInt(words[1]),
                 Long.parseLong(words[2]), Long.parseLong(words[3]));
            System.out.println("done 0 0");
        }
    }
}
