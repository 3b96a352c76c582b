import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { News } from "./News";

createRoot(document.querySelector("#app")!).render(<StrictMode><News /></StrictMode>);
